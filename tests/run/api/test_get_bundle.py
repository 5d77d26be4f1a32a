"""GET /bundles/{uuid}: versions, pages, URLs."""

import pytest
import requests

from tests.support.api import Version, assert_problem, new_uuid, now, put_bundle, put_file


@pytest.fixture
def bundle_of_25(api, file, replica) -> Version:
    """A bundle whose files have the names 00 to 24."""
    return put_bundle(api, replica, [file.named(f"{number:02}") for number in range(25)], creator_uid=5)


def names_of(answer: requests.Response) -> list[str]:
    """Return the names of the files on a page."""
    return [file["name"] for file in answer.json()["bundle"]["files"]]


def test_a_bundle_describes_all_its_files(api, anyone, clouds, replica):
    file = put_file(api, clouds.stage(replica, b"abc", content_type="text/plain"))
    bundle = put_bundle(api, replica, [file.named("a.txt", indexed=True)], creator_uid=5)
    head = api.head(f"/v1/files/{file.uuid}", replica=replica).headers
    answer = anyone.get(f"/v1/bundles/{bundle.uuid}", replica=replica)
    assert answer.status_code == 200
    assert answer.json() == {
        "bundle": {
            "uuid": bundle.uuid,
            "version": bundle.version,
            "creator_uid": 5,
            "files": [
                {
                    "name": "a.txt",
                    "uuid": file.uuid,
                    "version": file.version,
                    "content-type": "text/plain",
                    "size": 3,
                    "indexed": True,
                    "crc32c": head["X-DSS-CRC32C"],
                    "s3_etag": head["X-DSS-S3-ETAG"],
                    "sha1": head["X-DSS-SHA1"],
                    "sha256": head["X-DSS-SHA256"],
                }
            ],
        }
    }


def test_without_a_version_the_newest_is_given(api, replica):
    uuid = new_uuid()
    versions = [f"20{year}-01-01T000000.000000Z" for year in (21, 23, 22)]
    for version in versions:
        put_bundle(api, replica, [], bundle=Version(uuid, version))
        newest = api.get(f"/v1/bundles/{uuid}", replica=replica).json()["bundle"]["version"]
        assert newest == max(versions[: versions.index(version) + 1])
    for version in versions:
        answer = api.get(f"/v1/bundles/{uuid}", replica=replica, version=version)
        assert answer.json()["bundle"]["version"] == version


def test_an_unknown_bundle_or_one_of_the_other_replica_is_404(api, replica):
    bundle = put_bundle(api, replica, [])
    other = "aws" if replica == "gcp" else "gcp"
    for uuid, where, version in (
        (new_uuid(), replica, None),
        (bundle.uuid, replica, now()),
        (bundle.uuid, other, None),
        (bundle.uuid, other, bundle.version),
    ):
        answer = api.get(f"/v1/bundles/{uuid}", replica=where, version=version)
        assert_problem(answer, 404, "not_found", uuid, where)


def test_files_come_in_pages(api, bundle_of_25, replica):
    pages = list(api.pages(f"/v1/bundles/{bundle_of_25.uuid}", replica=replica, per_page=10))
    assert [page.status_code for page in pages] == [206, 206, 200]
    assert [page.headers["X-OpenAPI-Pagination"] for page in pages] == ["true", "true", "false"]
    assert {page.headers["X-OpenAPI-Paginated-Content-Key"] for page in pages} == {"bundle.files"}
    assert {page.headers["Content-Type"] for page in pages} == {"application/json"}
    assert [name for page in pages for name in names_of(page)] == [f"{number:02}" for number in range(25)]
    assert {page.json()["bundle"]["creator_uid"] for page in pages} == {5}
    assert "Link" not in pages[-1].headers
    for page in pages[:2]:
        assert page.headers["Link"].startswith(f"<{api.url}/v1/bundles/")
        assert page.headers["Link"].endswith('>; rel="next"')


def test_a_bundle_of_one_page_has_no_link(api, bundle_of_25, replica):
    answer = api.get(f"/v1/bundles/{bundle_of_25.uuid}", replica=replica, per_page=25)
    assert answer.status_code == 200
    assert len(names_of(answer)) == 25
    assert "Link" not in answer.headers
    assert answer.headers["X-OpenAPI-Pagination"] == "false"


def test_pages_may_begin_anywhere(api, bundle_of_25, replica):
    def names(start_at):
        answer = api.get(f"/v1/bundles/{bundle_of_25.uuid}", replica=replica, per_page=10, start_at=start_at)
        assert answer.status_code in (200, 206)
        return names_of(answer)

    assert names(7) == [f"{number:02}" for number in range(7, 17)]
    assert names(24) == ["24"]
    assert names(25) == names(10_000) == names(2**62) == []


def test_old_clients_append_the_original_query_to_a_link(api, bundle_of_25, replica):
    query = {"replica": replica, "per_page": 10, "start_at": 0, "presignedurls": True}
    answer = api.get(f"/v1/bundles/{bundle_of_25.uuid}", **query)
    names = names_of(answer)
    while answer.status_code == 206:
        answer = api.get(answer.links["next"]["url"], **query)
        names += names_of(answer)
    assert names == [f"{number:02}" for number in range(25)]


def test_the_version_is_pinned_while_pages_are_turned(api, bundle_of_25, replica):
    first = api.get(f"/v1/bundles/{bundle_of_25.uuid}", replica=replica, per_page=10)
    put_bundle(api, replica, [], bundle=Version(bundle_of_25.uuid, now()))
    second = api.get(first.links["next"]["url"])
    assert second.json()["bundle"]["version"] == bundle_of_25.version
    assert names_of(second) == [f"{number:02}" for number in range(10, 20)]


def test_pages_hold_across_the_pages_of_the_catalog(api, file, replica):
    names = [f"{number:04}" for number in range(1_001)]
    bundle = put_bundle(api, replica, [file.named(name) for name in names])
    pages = list(api.pages(f"/v1/bundles/{bundle.uuid}", replica=replica, per_page=300))
    assert [name for page in pages for name in names_of(page)] == names
    default = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica)
    assert names_of(default) == names[:500]


def test_presigned_urls_serve_each_file_under_its_name(api, clouds, replica):
    contents = {"a.txt": b"one", "dir/b c.txt": b"two", 'näme;€".txt': b"three", "%41.txt": b"four"}
    items = [put_file(api, clouds.stage(replica, content)).named(name) for name, content in contents.items()]
    bundle = put_bundle(api, replica, items)
    answer = api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, presignedurls="true")
    dispositions = {}
    for file in answer.json()["bundle"]["files"]:
        served = requests.get(file["url"], timeout=60)
        assert (served.status_code, served.content) == (200, contents[file["name"]])
        dispositions[file["name"]] = served.headers["Content-Disposition"]
    assert dispositions == {
        "a.txt": "attachment; filename=a.txt",
        "dir/b c.txt": 'attachment; filename="b c.txt"',
        'näme;€".txt': "attachment; filename*=UTF-8''n%C3%A4me%3B%E2%82%AC%22.txt",
        "%41.txt": "attachment; filename=%41.txt",
    }


def test_presigned_urls_are_on_every_page(api, bundle_of_25, replica):
    query = {"replica": replica, "per_page": 10, "presignedurls": True}
    pages = api.pages(f"/v1/bundles/{bundle_of_25.uuid}", **query)
    urls = [file["url"] for page in pages for file in page.json()["bundle"]["files"]]
    assert len(urls) == 25
    assert requests.get(urls[-1], timeout=60).content == b"content of a file"


@pytest.mark.parametrize("false", [None, "False", "false", "0"])
def test_no_urls_are_given_unless_asked_for(api, bundle_of_25, replica, false):
    query = {"replica": replica, "presignedurls": false, "directurls": false}
    files = api.get(f"/v1/bundles/{bundle_of_25.uuid}", **query).json()["bundle"]["files"]
    assert not any("url" in file for file in files)


@pytest.mark.parametrize("true", ["True", "true", "1"])
def test_only_one_kind_of_url_can_be_asked_for(api, bundle_of_25, replica, true):
    query = {"replica": replica, "presignedurls": true, "directurls": true}
    answer = api.get(f"/v1/bundles/{bundle_of_25.uuid}", **query)
    assert_problem(answer, 400, "only_one_urltype", "directurls", "presignedurls")


@pytest.mark.parametrize("token", ["rubbish", "e30=", "🎫"])
@pytest.mark.parametrize("directurls", [None, "true"])
def test_an_invented_token_is_400(api, bundle_of_25, replica, token, directurls):
    query = {"replica": replica, "token": token, "directurls": directurls}
    answer = api.get(f"/v1/bundles/{bundle_of_25.uuid}", **query)
    assert_problem(answer, 400, "illegal_token", "token")
