"""Content that is removed for good under one name may come again under another, and never goes with it."""

from shared.checksums import checksums_of
from shared.system import Dss
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_file
from tests.support.clouds import Clouds


def test_no_version_is_claimed_for_a_blob_while_it_is_removed(api: Api, clouds: Clouds, dss: Dss) -> None:
    content = new_uuid().encode()
    sums, url = checksums_of(content), clouds.stage("gcp", content)
    put_file(api, url)
    file = Version(new_uuid(), now())
    body = {"source_url": url, "creator_uid": 1}

    dss.catalog.files.begin_removal(sums)
    answer = api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)
    assert_problem(answer, 503, "service_unavailable", "removed for good just now")
    assert api.head(f"/v1/files/{file.uuid}", replica="gcp").status_code == 404

    dss.catalog.files.end_removal(sums, removed=True)
    put_file(api, url, file=file)
    assert dss.catalog.files.removal(sums) is None
    put_file(api, url)
