"""A catalog, topics, an index and buckets of their own on the servers of a running system.

Starting servers takes ten times the CPU time of this. And the Firestore emulator holds each query against all
documents of a project: in one of its own, a test does not pay for what other tests have written.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from local import probes
from local.components.events import subscriptions
from shared.messages import DEAD_LETTERS
from tests.support.api import TIMEOUT, new_uuid
from tests.support.topics import make_topics

_BUCKETS = {
    "gcp": ("DSS_GS_BUCKET", "DSS_GS_CHECKOUT_BUCKET", "DSS_GS_STAGING_BUCKET", "DSS_REPORTS_BUCKET"),
    "aws": ("DSS_S3_BUCKET", "DSS_S3_CHECKOUT_BUCKET", "DSS_S3_STAGING_BUCKET"),
}


def catalog_apart(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a system with an empty catalog; its buckets are those of `env`.

    An API for it is the caller's to start: the one of `env` has its own catalog.
    """
    return {**env, "GOOGLE_CLOUD_PROJECT": f"dss-{new_uuid()[:13]}"}


def set_apart(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an empty system on the servers of `env`, but for an API."""
    mark = new_uuid()[:8]
    own = {**catalog_apart(env), **_index_apart(env, mark)}
    for names in _BUCKETS.values():
        own.update({name: f"{env[name]}-{mark}" for name in names})
    gcs, s3 = ([own[name] for name in _BUCKETS[replica]] for replica in ("gcp", "aws"))
    url, project = own["STORAGE_EMULATOR_HOST"], own["GOOGLE_CLOUD_PROJECT"]
    probes.create_gcs_buckets(url, project, gcs, checkout=gcs[1], shown=gcs[:2], seconds=TIMEOUT)
    probes.create_s3_buckets(own["AWS_ENDPOINT_URL"], s3, checkout=s3[1], shown=s3[:2], seconds=TIMEOUT)
    make_topics(own, *dict.fromkeys(row["topic"] for row in subscriptions()), DEAD_LETTERS)
    return own


def _index_apart(env: Mapping[str, str], mark: str) -> dict[str, str]:
    """Make a database of its own for the index, if it is in PostgreSQL."""
    dsn = env.get("DSS_POSTGRESQL_DSN")
    if not dsn:
        return {}
    name = f"apart_{mark}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return {"DSS_POSTGRESQL_DSN": urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))}
