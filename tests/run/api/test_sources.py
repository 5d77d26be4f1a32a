"""Files are put from staging, and from what the settings name for the caller's groups; from nowhere else."""

import pytest
import requests

from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_file
from tests.support.checkouts import user_bucket
from tests.support.clouds import SCHEMES, Clouds, checksum_metadata


@pytest.fixture(scope="session")
def member(configured: Api, stack: dict[str, str]) -> Api:
    """The configured API, asked by a writer who is a member of the lab."""
    fields = {"email": "ada@example.org", "group": ["dss", "lab"]}
    answer = requests.post(stack["DSS_LOCAL_TOKEN_URL"], json=fields, timeout=60)
    return configured.signed_in(answer.json()["access_token"])


def assert_refused(api: Api, url: str, *words: str) -> None:
    """Fail unless a PUT of this source is refused in these words, and leaves nothing."""
    file = Version(new_uuid(), now())
    body = {"source_url": url, "creator_uid": 1}

    answer = api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)

    assert_problem(answer, 403, "Forbidden", "source_url", *words)
    for replica in SCHEMES:
        assert api.head(f"/v1/files/{file.uuid}", replica=replica).status_code == 404


def test_members_put_files_from_what_a_pattern_names_for_their_group(
    configured: Api, member: Api, clouds: Clouds, replica: str
) -> None:
    bucket = user_bucket(clouds, replica, allows=None, name=f"lab-{new_uuid()}")
    coming, going = (
        clouds.stage(replica, b"a lab's", bucket=bucket, key=key) for key in ("in/a/b", "out/a/b")
    )

    put_file(member, coming)
    assert_refused(configured, coming, coming, "writer@example.org", "DSS_SOURCES")
    assert_refused(member, going, going, f"{SCHEMES[replica]}://{clouds.staging[replica]}")


def test_what_no_setting_names_is_not_asked_for(api: Api, admin: Api, clouds: Clouds, replica: str) -> None:
    bucket = user_bucket(clouds, replica, allows=None)
    readable = clouds.stage(replica, b"somebody's", bucket=bucket)
    # There is no such bucket: an answer that says so would have asked for it.
    for url in (readable, f"{SCHEMES[replica]}://no-such-bucket-anywhere/key"):
        for who in (api, admin):
            assert_refused(who, url, url, clouds.staging[replica])


def test_the_systems_own_buckets_are_no_sources(
    api: Api, admin: Api, stack: dict[str, str], clouds: Clouds, replica: str
) -> None:
    put_file(api, clouds.stage(replica, b"a blob"))
    [blob] = clouds.keys(replica, f"blobs/{checksum_metadata(b'a blob')['dss-sha256']}")
    others = [clouds.checkout[replica], *([stack["DSS_REPORTS_BUCKET"]] if replica == "gcp" else [])]
    urls = [clouds.stage(replica, b"a copy", bucket=bucket) for bucket in others]

    for url in (f"{SCHEMES[replica]}://{clouds.main[replica]}/{blob}", *urls):
        for who in (api, admin):
            assert_refused(who, url, "is a bucket of this system", clouds.staging[replica])
