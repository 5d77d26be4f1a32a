"""Files of hits are downloaded, and described by GA4GH's protocols."""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from run.explore.downloads import data_object
from shared.errors import NotFound
from shared.explore.catalogues import Catalogue
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.query import Found, FoundPage
from shared.explore.settings import CatalogueSetting
from tests.run.explore.conftest import OWN
from tests.support.api import new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.explore_service import ExploreService, assert_refused
from tests.support.hca_sample import HcaBundle

CONTENT = b"x" * 20


@pytest.fixture(scope="module")
def file(service: ExploreService, clouds: Clouds) -> Iterator[dict[str, str]]:
    """A file, as a hit has it."""
    name = new_uuid()
    bundle = HcaBundle(name, project=name)
    bundle.file(f"{name}.txt", size=len(CONTENT))
    service.index(OWN, service.upload(clouds, bundle))
    [hit] = service.get("/index/files", catalog=OWN, filters={"project": {"is": [name]}})["hits"]
    yield hit["files"][0]


def disposition(answer: requests.Response) -> str:
    [found] = parse_qs(urlsplit(answer.headers["Location"]).query)["response-content-disposition"]
    return found


def test_the_url_of_a_hit_leads_to_the_content(service: ExploreService, file: dict[str, str]) -> None:
    assert file["url"] == (
        f"{service.api.url}/repository/files/{file['uuid']}?catalog={OWN}&version={file['version']}"
    )

    answer = service.api.get(file["url"])

    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    assert requests.get(answer.headers["Location"], timeout=60).content == CONTENT
    assert disposition(answer) == f"attachment; filename={file['name']}"


def test_browsers_get_the_name_that_they_ask_for(service: ExploreService, file: dict[str, str]) -> None:
    path = f"/repository/files/{file['uuid']}"
    for name, saved in (
        ("a.txt", "attachment; filename=a.txt"),
        ('a"; x=1', 'attachment; filename="a\\"; x=1"'),
        ("ü.txt", "attachment; filename*=UTF-8''%C3%BC.txt"),
    ):
        assert disposition(service.api.get(path, catalog=OWN, fileName=name)) == saved


def test_parameters_of_the_predecessor_have_no_effect(service: ExploreService, file: dict[str, str]) -> None:
    path = f"/repository/files/{file['uuid']}"
    query = {"wait": 1, "requestIndex": 2, "drsUri": "drs://x/y", "token": "abc", "replica": "gcp"}

    assert service.api.get(path, catalog=OWN, **query).status_code == 302


def test_scripts_get_the_redirect_as_json(service: ExploreService, file: dict[str, str]) -> None:
    found = service.get(f"/fetch{urlsplit(file['url']).path}", catalog=OWN, version=file["version"])

    assert found.keys() == {"Status", "Location"}
    assert found["Status"] == 302
    assert requests.get(found["Location"], timeout=60).content == CONTENT


def test_a_download_that_is_complete_is_resumed(
    service: ExploreService, file: dict[str, str], tmp_path: Path
) -> None:
    for start, status in ((len(CONTENT), 206), (len(CONTENT) - 1, 302), (0, 302)):
        answer = service.api.get(file["url"], headers={"Range": f"bytes={start}-"})
        assert answer.status_code == status
    fetched = service.api.get(
        f"/fetch{urlsplit(file['url']).path}", catalog=OWN, headers={"Range": f"bytes={len(CONTENT)}-"}
    )
    assert fetched.json() == {"Status": 206}
    path = tmp_path / "file"
    for present in (b"", CONTENT[:7], CONTENT):
        path.write_bytes(present)
        command = ["curl", "--silent", "--show-error", "--fail", "--location", "--continue-at", "-"]
        subprocess.run([*command, "--output", str(path), file["url"]], check=True, timeout=60)
        assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("header", ["bytes", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=1"])
def test_a_malformed_range_is_refused(service: ExploreService, file: dict[str, str], header: str) -> None:
    assert_refused(service.api.get(file["url"], headers={"Range": header}), 400, "Range")


def test_only_files_of_the_catalogue_are_there(service: ExploreService, clouds: Clouds) -> None:
    other = put_file(service.writer, clouds.stage("gcp", b"content"))
    put_bundle(service.writer, "gcp", [other.named("file")])

    for uuid, words in ((other.uuid, "in this catalog"), (new_uuid(), "no file")):
        for path in (f"/repository/files/{uuid}", f"/fetch/repository/files/{uuid}"):
            assert_refused(service.api.get(path, catalog=OWN), 404, words)
        answer = service.api.get(f"/ga4gh/dos/v1/dataobjects/{uuid}", catalog=OWN)
        assert (answer.status_code, words in answer.json()["msg"]) == (404, True)


def test_a_data_object_describes_a_file(service: ExploreService, file: dict[str, str]) -> None:
    path = f"/ga4gh/dos/v1/dataobjects/{file['uuid']}"

    assert service.get(path, catalog=OWN) == {
        "data_object": {
            "id": file["uuid"],
            "urls": [{"url": file["url"]}],
            "size": str(len(CONTENT)),
            "checksums": [{"checksum": hashlib.sha256(CONTENT).hexdigest(), "type": "sha256"}],
            "aliases": [file["name"]],
            "version": file["version"],
            "name": file["name"],
        }
    }
    assert service.get(path, catalog=OWN, version=file["version"]) == service.get(path, catalog=OWN)
    for query, status in (
        ({"version": "2020-01-01T000000.000000Z"}, 404),
        ({"version": "1"}, 400),
        ({"x": "1"}, 400),
    ):
        answer = service.api.get(path, catalog=OWN, **query)
        assert (answer.status_code, answer.json().keys()) == (status, {"msg", "status_code"})


def test_the_drs_uri_of_a_hit_is_resolved(service: ExploreService, file: dict[str, str]) -> None:
    name = file["drs_uri"].rpartition("/")[2]

    found = service.get(f"/ga4gh/drs/v1/objects/{name}")

    assert (found["size"], found["version"]) == (len(CONTENT), file["version"])


@pytest.mark.parametrize("files", [None, [], ["a"], [{"uuid": "a"}], [{"uuid": "a", "version": "1"}]])
def test_what_a_plugin_does_not_describe_as_a_file_is_not_there(
    monkeypatch: pytest.MonkeyPatch, files: Any
) -> None:
    plugin = HcaPlugin(host="h")
    monkeypatch.setattr(plugin, "hit", lambda *_: {"files": files})
    monkeypatch.setattr("run.api.files.head", lambda *_, **__: None)
    catalogue = Catalogue(1, CatalogueSetting(name="all", plugin="hca"), plugin)
    found = FoundPage([Found("x", ("", "x"), {})], has_next=False, has_previous=False)
    catalogues = SimpleNamespace(catalogues=lambda: {"all": catalogue}, page=lambda *_: found)
    policy = SimpleNamespace(counts_as=lambda _: None)
    call: Any = SimpleNamespace(
        query={}, base_url="", reader=None, dss=SimpleNamespace(policy=policy, catalogues=catalogues)
    )

    with pytest.raises(NotFound, match="Unable to find file"):
        data_object(call, new_uuid())
