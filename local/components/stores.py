"""The object stores of both replicas."""

import sys
from functools import partial
from itertools import chain

from local import probes
from local.components.base import Component, Exported
from local.config import PROJECT, SIGNER_CERTIFICATES, StackConfig
from local.supervisor.ports import HOST

# Seconds. A server that the caller named has to be there already.
_FOREIGN_SECONDS = 3.0


def gcs(config: StackConfig, exported: Exported) -> Component:
    """Replica `gcp`: our GCS server, or the one that the caller's STORAGE_EMULATOR_HOST names."""
    buckets = config.buckets("GS")
    url = config.foreign_gcs or config.url("gcs")
    certificates = [("--signing-cert", str(config.keys / name)) for name in SIGNER_CERTIFICATES]
    command = (
        *(sys.executable, "-m", "gcs_server", "--port", str(config.ports.of("gcs"))),
        *("--data", str(config.data / "gcs"), *chain.from_iterable(certificates)),
        *("--pubsub-emulator", exported["PUBSUB_EMULATOR_HOST"], "--project", PROJECT),
    )
    # Lets a later run that sourced our environment file know this server as ours: `config.foreign_gcs`.
    ours = {} if config.foreign_gcs else {"DSS_LOCAL_GCS_URL": url}
    return Component(
        name="gcs",
        command=() if config.foreign_gcs else command,
        ready=partial(_gcs_answers, config),
        seconds=_FOREIGN_SECONDS if config.foreign_gcs else None,
        set_up=partial(
            probes.create_gcs_buckets,
            url,
            PROJECT,
            list(buckets.values()),
            checkout=buckets["DSS_GS_CHECKOUT_BUCKET"],
            shown=(buckets["DSS_GS_BUCKET"], buckets["DSS_GS_CHECKOUT_BUCKET"]),
            seconds=config.patience,
        ),
        exports={"STORAGE_EMULATOR_HOST": url, "DSS_GS_REGION": "us-east1", **buckets, **ours},
    )


def _gcs_answers(config: StackConfig) -> None:
    try:
        probes.answers(config.foreign_gcs or config.url("gcs"))
    except probes.NotReady as error:
        if config.foreign_gcs:
            raise probes.NotReady(f"STORAGE_EMULATOR_HOST is set, but no server answers: {error}") from error
        raise


def s3(config: StackConfig, _: Exported) -> Component:
    """Replica `aws`: moto, which serves S3, SNS and STS from one process, in memory.

    Under gunicorn it was measured a tenth faster, but turned `dss-s3_etag` of the metadata into
    `dss-s3-etag`; its own server keeps such names.
    """
    buckets = config.buckets("S3")
    url = config.url("s3")
    return Component(
        name="s3",
        command=(
            *(sys.executable, "-m", "local.servers.s3"),
            *("--host", HOST, "--port", str(config.ports.of("s3"))),
        ),
        # The rules of each bucket count, as in S3.
        environment={"MOTO_DISABLE_GLOBAL_CORS": "true"},
        ready=partial(probes.answers_ok, f"{url}/moto-api/"),
        set_up=partial(
            probes.create_s3_buckets,
            url,
            list(buckets.values()),
            checkout=buckets["DSS_S3_CHECKOUT_BUCKET"],
            shown=(buckets["DSS_S3_BUCKET"], buckets["DSS_S3_CHECKOUT_BUCKET"]),
            seconds=config.patience,
        ),
        exports={
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DSS_S3_REGION": "us-east-1",
            **buckets,
        },
    )
