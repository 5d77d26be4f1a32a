"""The REST service, the token issuer and the mail server."""

import sys
from functools import partial

from local import probes
from local.components import search
from local.components.base import Component, Exported
from local.config import ADMIN_EMAIL, LOOPBACK_NETWORKS, WRITE_GROUP, WRITER_EMAIL, StackConfig, api_settings
from local.issuer.claims import SERVICE_ACCOUNT_KEY_FILE
from local.supervisor.ports import HOST


def token_issuer(config: StackConfig, _: Exported) -> Component:
    """Sign-in: an OpenID provider, and a service account's published keys."""
    url = config.url("token issuer")
    port = str(config.ports.of("token issuer"))
    return Component(
        name="token issuer",
        command=(sys.executable, "-m", "local.issuer.server", "--port", port, "--keys", str(config.keys)),
        ready=partial(probes.answers_ok, f"{url}/.well-known/openid-configuration"),
        exports={
            "DSS_TOKEN": config.token(WRITER_EMAIL, WRITE_GROUP),
            "DSS_TOKEN2": config.token("second-writer@example.org", WRITE_GROUP),
            "DSS_TOKEN_OTHER_GROUP": config.token("reader@example.org", "other"),
            "DSS_ADMIN_TOKEN": config.token(ADMIN_EMAIL, WRITE_GROUP),
            "DSS_LOCAL_TOKEN_URL": f"{url}/token",
            "DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE": str(config.keys / SERVICE_ACCOUNT_KEY_FILE),
            **api_settings(config),
        },
    )


def mail(config: StackConfig, _: Exported) -> Component:
    """Mail: a server that puts every message into a Maildir, for people and tests to read."""
    port = config.ports.of("mail")
    return Component(
        name="mail",
        command=(
            *(sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", f"{HOST}:{port}"),
            *("--class", "aiosmtpd.handlers.Mailbox", str(config.data / "mail" / "box")),
        ),
        ready=partial(probes.listens, HOST, port),
        exports={
            "DSS_SMTP_HOST": HOST,
            "DSS_SMTP_PORT": str(port),
            "DSS_SMTP_TLS": "none",
            "DSS_SMTP_SENDER": "dss@example.org",
        },
    )


def gunicorn(app: str, port: int, workers: int) -> tuple[str, ...]:
    """Return the command that serves the API as Cloud Run does, in `workers` processes.

    Nothing is loaded before the fork: gRPC doesn't survive it.
    """
    return (
        *(sys.executable, "-m", "gunicorn", app, "--bind", f"{HOST}:{port}", "--no-control-socket"),
        *("--worker-class", "run.api.worker.Worker", "--workers", str(workers)),
        # Seconds. Must not close an idle connection under its client's next request.
        *("--keep-alive", "75", "--timeout", "90", "--graceful-timeout", "2"),
    )


def api(config: StackConfig, exported: Exported) -> Component:
    """The REST service, with the settings of the rows above and those of the caller's environment."""
    url = config.url("api")
    return Component(
        name="api",
        command=gunicorn(config.api_app, config.ports.of("api"), config.api_workers),
        ready=partial(probes.is_healthy, url),
        uses=("firestore", "pubsub", "gcs", "s3", "token issuer", *search.needed(config)),
        environment={
            "OTEL_SERVICE_NAME": "dss-api",
            "DSS_CALLBACK_NETWORKS": LOOPBACK_NETWORKS,
            # Uploads, tests and measurements of this machine go at full speed.
            "DSS_UNLIMITED_NETWORKS": LOOPBACK_NETWORKS,
            **config.passed_on(),
            **exported,
        },
        exports={"DSS_URL": url},
    )
