"""More API processes, with settings that the shared one lacks."""

import json
from collections.abc import Iterator

import pytest

from local.api import api_process
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, put_file
from tests.support.clouds import SCHEMES, Clouds
from tests.support.dss import open_dss_for_threads

# The claims and the audience of tokens of old deployments.
OLD_CLAIMS = "https://auth.data.humancellatlas.org"
OLD_AUDIENCE = "https://dev.data.humancellatlas.org/"
PUBLIC_URL = "https://dss.example.org"
# Where pages come from that call an API whose deployment names origins.
NOTEBOOKS = "https://notebooks.example.org"
# Beside staging: buckets of a lab, of which only what comes in, and such as nobody may read.
SOURCES = [
    {"url": f"{scheme}://{pattern}", "groups": [group]}
    for scheme in SCHEMES.values()
    for pattern, group in (("lab-*/in/", "lab"), ("closed-*", "signed-in"))
]


@pytest.fixture(scope="session")
def read_only(stack: dict[str, str]) -> Iterator[Api]:
    """A read-only API, in debug mode."""
    with api_process(stack, {"DSS_READ_ONLY_MODE": "true", "DSS_DEBUG": "1"}) as process:
        yield Api(process.url, stack["DSS_ADMIN_TOKEN"])


@pytest.fixture(scope="session")
def configured(stack: dict[str, str]) -> Iterator[Api]:
    """An API that hardly waits for files, with a public URL, a second admin, and old clients' sign-in.

    It takes sources from SOURCES, and calls from pages of NOTEBOOKS.
    """
    settings = {
        "DSS_FILE_WAIT_SECONDS": "1",
        "DSS_PUBLIC_URL": PUBLIC_URL,
        "OIDC_AUDIENCE": f"{OLD_AUDIENCE},{stack['OIDC_AUDIENCE']}",
        "OIDC_EMAIL_CLAIM": f"{OLD_CLAIMS}/email,email",
        "OIDC_GROUP_CLAIM": f"{OLD_CLAIMS}/group,group",
        "DSS_WRITE_GROUPS": "dss,hca",
        "DSS_SOURCES": json.dumps(SOURCES),
        "DSS_CORS_ORIGINS": f"{NOTEBOOKS},http://localhost:8888",
        # The owner of DSS_TOKEN2.
        "ADMIN_USER_EMAILS": f"{stack['ADMIN_USER_EMAILS']},second-writer@example.org",
    }
    with api_process(stack, settings) as process:
        yield Api(process.url, stack["DSS_TOKEN"])


@pytest.fixture(scope="session")
def proxied(stack: dict[str, str]) -> Iterator[Api]:
    """An API that takes the clients of this machine for its proxies."""
    with api_process(stack, {"DSS_TRUSTED_PROXIES": "127.0.0.0/8"}) as process:
        yield Api(process.url, stack["DSS_TOKEN"])


@pytest.fixture(scope="session")
def without_issuer(stack: dict[str, str]) -> Iterator[Api]:
    """An API whose token issuer does not answer, that hides managed data; a test may delete its bucket."""
    clouds = Clouds(stack)
    bucket = f"dss-short-lived-{new_uuid()}"
    clouds.gcs.create_bucket(bucket)
    # Port 9 (discard): no service listens there.
    settings = {
        "OIDC_ISSUER": "http://127.0.0.1:9",
        # Those of the issuer that answers.
        "DSS_SIGN_IN_CLIENTS": None,
        "DSS_GS_CHECKOUT_BUCKET": bucket,
        "DSS_HIDE_MANAGED": "true",
    }
    with api_process(stack, settings) as process:
        yield Api(process.url, stack["DSS_TOKEN"])


@pytest.fixture(scope="session")
def dss(stack: dict[str, str]) -> Dss:
    """The dependencies of the running system, as an operator has them."""
    return open_dss_for_threads(stack, publishes=False)


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    """A new file of a few bytes on `replica`."""
    return put_file(api, clouds.stage(replica, b"content of a file"))
