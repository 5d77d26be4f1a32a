"""The table of what runs: one function a component, one row of TABLE each. To add one, add both.

A function gets the plan (ports, keys, directories, names) and what the rows above export, and returns a
Component. What a component exports is known before it starts, since its port is kept for it; `needs` is for
what has to *answer* before it starts.
"""

import sys
from functools import partial

from local import event_components as events
from local import index_components as index
from local import probes
from local import workflow_components as workflows
from local.claims import SERVICE_ACCOUNT_KEY_FILE
from local.component import Builder, Component, Exported
from local.plan import (
    ADMIN_EMAIL,
    PROJECT,
    WRITE_GROUP,
    WRITER_EMAIL,
    Plan,
    api_settings,
    base_environment,
)
from local.ports import HOST

# Measured on the Firestore emulator (6,000 sets, 1,600 gets): as fast as with the JVM's defaults, in 40 % of
# their CPU time and two thirds of their memory.
JVM_FLAGS = (
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    # A file in the system's temporary directory, which SIGKILL would leave there.
    "-XX:-UsePerfData",
)


def firestore(plan: Plan, _: Exported) -> Component:
    """Metadata: the Firestore emulator, in memory."""
    port = plan.ports.of("firestore")
    main_class = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    jar = str(plan.emulators.firestore)
    return Component(
        name="firestore",
        command=(
            *(str(plan.emulators.java), *JVM_FLAGS, "-cp", jar, main_class),
            *("start", f"--host={HOST}", f"--port={port}"),
        ),
        ready=partial(probes.answers_ok, plan.url("firestore")),
        exports={"FIRESTORE_EMULATOR_HOST": f"{HOST}:{port}"},
    )


def pubsub(plan: Plan, _: Exported) -> Component:
    """Events: the Pub/Sub emulator, in memory."""
    port = plan.ports.of("pubsub")
    jar = str(plan.emulators.pubsub)
    return Component(
        name="pubsub",
        command=(str(plan.emulators.java), *JVM_FLAGS, "-jar", jar, f"--host={HOST}", f"--port={port}"),
        ready=partial(probes.answers_ok, plan.url("pubsub")),
        exports={"PUBSUB_EMULATOR_HOST": f"{HOST}:{port}"},
    )


def gcs(plan: Plan, exported: Exported) -> Component:
    """Replica `gcp`: our GCS server, or the one that the caller's STORAGE_EMULATOR_HOST names."""
    buckets = plan.buckets("GS")
    url = plan.foreign_gcs or plan.url("gcs")
    command = (
        *(sys.executable, "-m", "gcs_server", "--port", str(plan.ports.of("gcs"))),
        *("--data", str(plan.data / "gcs"), "--signing-cert", str(plan.keys / "gcs-signer.pem")),
        *("--pubsub-emulator", exported["PUBSUB_EMULATOR_HOST"], "--project", PROJECT),
    )
    # What tells a later run that sourced our environment file that this server was ours: `plan.foreign_gcs`.
    ours = {} if plan.foreign_gcs else {"DSS_LOCAL_GCS_URL": url}
    return Component(
        name="gcs",
        command=() if plan.foreign_gcs else command,
        ready=partial(_gcs_answers, plan),
        seconds=3.0 if plan.foreign_gcs else 60.0,
        set_up=partial(
            probes.create_gcs_buckets,
            url,
            PROJECT,
            list(buckets.values()),
            checkout=buckets["DSS_GS_CHECKOUT_BUCKET"],
        ),
        exports={"STORAGE_EMULATOR_HOST": url, **buckets, **ours},
    )


def _gcs_answers(plan: Plan) -> None:
    try:
        probes.answers(plan.foreign_gcs or plan.url("gcs"))
    except probes.NotReady as error:
        if plan.foreign_gcs:
            raise probes.NotReady(f"STORAGE_EMULATOR_HOST is set, but nobody is there: {error}") from error
        raise


def s3(plan: Plan, _: Exported) -> Component:
    """Replica `aws`: moto, which serves S3, SNS and STS from one process, in memory.

    Under gunicorn it was measured a tenth faster, but there it turns `dss-s3_etag` of the metadata into
    `dss-s3-etag`; its own server keeps such names.
    """
    buckets = plan.buckets("S3")
    url = plan.url("s3")
    return Component(
        name="s3",
        command=(sys.executable, "-m", "local.s3", "--host", HOST, "--port", str(plan.ports.of("s3"))),
        ready=partial(probes.answers_ok, f"{url}/moto-api/"),
        set_up=partial(
            probes.create_s3_buckets,
            url,
            list(buckets.values()),
            checkout=buckets["DSS_S3_CHECKOUT_BUCKET"],
        ),
        exports={
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            **buckets,
        },
    )


def token_issuer(plan: Plan, _: Exported) -> Component:
    """Sign-in: an OpenID provider, and a service account's published keys."""
    url = plan.url("token issuer")
    port = str(plan.ports.of("token issuer"))
    return Component(
        name="token issuer",
        command=(sys.executable, "-m", "local.tokens", "--port", port, "--keys", str(plan.keys)),
        ready=partial(probes.answers_ok, f"{url}/.well-known/openid-configuration"),
        exports={
            "DSS_TOKEN": plan.token(WRITER_EMAIL, WRITE_GROUP),
            "DSS_TOKEN2": plan.token("second-writer@example.org", WRITE_GROUP),
            "DSS_TOKEN_OTHER_GROUP": plan.token("reader@example.org", "other"),
            "DSS_ADMIN_TOKEN": plan.token(ADMIN_EMAIL, WRITE_GROUP),
            "DSS_LOCAL_TOKEN_URL": f"{url}/token",
            "DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE": str(plan.keys / SERVICE_ACCOUNT_KEY_FILE),
            **api_settings(plan),
        },
    )


def mail(plan: Plan, _: Exported) -> Component:
    """Mail: a server that keeps what it is given in a Maildir, for people and tests to read."""
    port = plan.ports.of("mail")
    return Component(
        name="mail",
        command=(
            *(sys.executable, "-m", "aiosmtpd", "--nosetuid", "--listen", f"{HOST}:{port}"),
            *("--class", "aiosmtpd.handlers.Mailbox", str(plan.data / "mail" / "box")),
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

    Nothing is loaded before the fork: gRPC doesn't survive one.
    """
    return (
        *(sys.executable, "-m", "gunicorn", app, "--bind", f"{HOST}:{port}", "--no-control-socket"),
        *("--worker-class", "run.api.worker.Worker", "--workers", str(workers)),
        # Seconds. A client's idle connection must not be closed under its next request.
        *("--keep-alive", "75", "--timeout", "90", "--graceful-timeout", "2"),
    )


def api(plan: Plan, exported: Exported) -> Component:
    """The REST service, with the settings of the rows above, and others that the caller's environment has."""
    url = plan.url("api")
    return Component(
        name="api",
        command=gunicorn(plan.api_app, plan.ports.of("api"), plan.api_workers),
        ready=partial(probes.is_healthy, url),
        uses=("firestore", "pubsub", "gcs", "s3", "token issuer", *index.needed(plan)),
        environment={**plan.passed_on(), **exported},
        exports={"DSS_URL": url},
    )


# What the API needs to answer requests: nothing in it moves by itself, which suits its tests.
API_TABLE: tuple[Builder, ...] = (firestore, pubsub, gcs, s3, index.postgresql, token_issuer, api)

TABLE: tuple[Builder, ...] = (
    *(firestore, pubsub, gcs, s3, index.postgresql, token_issuer),
    mail,
    events.topics,
    workflows.workflows,
    api,
    events.functions_of(
        *("administer", "checkout", "compact", "copy", "deliver", "index", "notify", "redeliver"),
        *("s3_events", "sweep", "sync"),
        processes={"index": 2, "sync": 2},
    ),
    events.gcs_notifications,
    events.s3_notifications,
    events.pushing,
)


def build(plan: Plan, table: tuple[Builder, ...] = TABLE) -> tuple[list[Component], dict[str, str]]:
    """Return the components of a stack, and the environment of who uses it."""
    components = []
    exported = {"GOOGLE_CLOUD_PROJECT": PROJECT, "DSS_LOCAL_DATA": str(plan.data)}
    inherited = base_environment(plan.caller)
    for builder in table:
        component = builder(plan, exported)
        if component is None:
            continue
        exported.update(component.exports)
        components.append(_with(component, inherited))
    return components, exported


def _with(component: Component, inherited: Exported) -> Component:
    environment = {**inherited, **component.environment}
    return Component(**{**vars(component), "environment": environment})
