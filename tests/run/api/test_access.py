"""Managed data: who may read what, over HTTP, before and after a binding changes."""

from dataclasses import replace

import pytest

from shared.bindings import bind_files, change_binding
from shared.catalog import Binding
from shared.system import Dss
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds

GROUP = "dss"


def bind(dss: Dss, uuid: str, *readers: str, with_files: bool = False) -> Binding:
    """Bind a UUID to readers; none unbinds it."""
    return change_binding(
        dss,
        uuid,
        "operator@example.org",
        lambda before: replace(before, readers=frozenset(readers), with_files=with_files),
    )


@pytest.fixture
def stranger(api: Api) -> Api:
    return api.signed_in(None)


@pytest.fixture
def other(api: Api, stack: dict[str, str]) -> Api:
    """A client of somebody who is in another group."""
    return api.signed_in(stack["DSS_TOKEN_OTHER_GROUP"])


@pytest.fixture
def file(api: Api, clouds: Clouds) -> Version:
    return put_file(api, clouds.stage("gcp", b"content of a managed file"))


@pytest.fixture
def bundle(api: Api, file: Version) -> Version:
    return put_bundle(api, "gcp", [file.named("a.txt")])


def statuses(path: str, *clients: Api, **query: str) -> list[int]:
    return [client.get(path, replica="gcp", **query).status_code for client in clients]


def test_a_bound_file_is_for_its_readers_only(api, stranger, other, dss, file):
    path = f"/v1/files/{file.uuid}"
    assert statuses(path, stranger, other, api) == [302, 302, 302]
    bind(dss, file.uuid, GROUP)
    assert statuses(path, stranger, other, api) == [401, 403, 302]
    assert statuses(path, stranger, other, api, version=file.version) == [401, 403, 302]
    assert_problem(other.get(path, replica="gcp"), 403, "Forbidden", file.uuid)
    bind(dss, file.uuid)
    assert statuses(path, stranger, other, api) == [302, 302, 302]


def test_a_new_version_is_bound_from_its_first_moment(api, stranger, clouds, dss):
    uuid = new_uuid()
    bind(dss, uuid, GROUP)
    file = put_file(api, clouds.stage("gcp", b"content"), file=Version(uuid, now()))
    assert statuses(f"/v1/files/{uuid}", stranger, api) == [401, 302]
    bundle = Version(new_uuid(), now())
    bind(dss, bundle.uuid, GROUP)
    put_bundle(api, "gcp", [file.named("a")], bundle=bundle)
    assert statuses(f"/v1/bundles/{bundle.uuid}", stranger, api) == [401, 200]


def test_a_bound_file_of_a_public_bundle_gives_no_url(api, stranger, other, dss, file, bundle):
    path = f"/v1/bundles/{bundle.uuid}"
    bind(dss, file.uuid, GROUP)
    assert statuses(path, stranger, other, api) == [200, 200, 200]
    assert statuses(path, stranger, other, api, presignedurls="true") == [401, 403, 200]
    checkout = f"/v1/bundles/{bundle.uuid}/checkout"
    assert [c.post(checkout, replica="gcp").status_code for c in (stranger, other, api)] == [401, 403, 403]
    later = put_bundle(api, "gcp", [file.named("b.txt")])
    assert statuses(f"/v1/bundles/{later.uuid}", stranger, api, presignedurls="true") == [401, 200]


def test_files_are_bound_with_their_bundle_and_those_of_later_versions(
    api, stranger, clouds, dss, file, bundle
):
    bind(dss, bundle.uuid, GROUP, with_files=True)
    assert statuses(f"/v1/bundles/{bundle.uuid}", stranger, api) == [401, 200]
    assert statuses(f"/v1/files/{file.uuid}", stranger, api) == [401, 302]
    new = put_file(api, clouds.stage("gcp", b"content of a later file"))
    put_bundle(api, "gcp", [new.named("new")], bundle=Version(bundle.uuid, now()))
    assert statuses(f"/v1/files/{new.uuid}", stranger, api) == [401, 302]


def test_a_list_leaves_out_what_its_reader_may_not_see_and_its_pages_stay_full(
    api, stranger, other, dss, file
):
    prefix = new_uuid()[:8]
    bundles = [
        put_bundle(api, "gcp", [file.named("a")], bundle=Version(prefix + new_uuid()[8:], now()))
        for _ in range(25)
    ]
    bundles.sort(key=str)
    managed = bundles[3:15]
    for one in managed:
        bind(dss, one.uuid, GROUP)

    def listed(client: Api) -> list[list[str]]:
        pages = client.pages("/v1/bundles/all", replica="gcp", prefix=prefix, per_page=10)
        return [[bundle["uuid"] for bundle in page.json()["bundles"]] for page in pages]

    seen = [bundle.uuid for bundle in bundles if bundle not in managed]
    assert listed(stranger) == listed(other) == [seen[:10], seen[10:]]
    everything = [bundle.uuid for bundle in bundles]
    assert listed(api) == [everything[:10], everything[10:20], everything[20:]]


def test_a_writer_can_neither_bundle_nor_overwrite_what_it_may_not_read(api, clouds, dss, file):
    bind(dss, file.uuid, "consortium")
    body = {"files": [file.named("a")], "creator_uid": 1}
    answer = api.put(f"/v1/bundles/{new_uuid()}", replica="gcp", version=now(), json=body)
    assert_problem(answer, 400, "file_missing", file.uuid)
    source = {"source_url": clouds.stage("gcp", b"other"), "creator_uid": 1}
    assert_problem(api.put(f"/v1/files/{file.uuid}", version=now(), json=source), 403, "Forbidden")


def test_a_file_that_is_bound_after_its_bundle_stays_as_it_is(api, stranger, other, dss, file, bundle):
    bind(dss, bundle.uuid, GROUP, with_files=True)
    bind(dss, file.uuid, "other")
    put_bundle(api, "gcp", [], bundle=Version(bundle.uuid, now()))
    assert statuses(f"/v1/files/{file.uuid}", stranger, other, api) == [401, 302, 403]
    bind(dss, bundle.uuid, GROUP, "third", with_files=True)
    assert statuses(f"/v1/files/{file.uuid}", other, api) == [403, 302]


def test_a_spread_that_comes_late_brings_no_reader_back(api, other, dss, file, bundle):
    first = bind(dss, bundle.uuid, GROUP, "other", with_files=True)
    bind(dss, bundle.uuid, GROUP, with_files=True)
    bind_files(dss, first, {file.uuid})
    assert statuses(f"/v1/files/{file.uuid}", other, api) == [403, 302]


def test_a_writer_binds_no_file_of_others_by_naming_it(api, other, dss, file):
    bind(dss, file.uuid, "other", GROUP)
    bundle = Version(new_uuid(), now())
    bind(dss, bundle.uuid, GROUP, with_files=True)
    put_bundle(api, "gcp", [file.named("a")], bundle=bundle)
    assert statuses(f"/v1/files/{file.uuid}", other, api) == [302, 302]


def test_a_patch_of_a_bundle_with_a_bound_file_is_bound_too(api, stranger, dss, file, bundle):
    bind(dss, file.uuid, GROUP)
    answer = api.patch(f"/v1/bundles/{bundle.uuid}", replica="gcp", version=bundle.version, json={})
    assert answer.status_code == 200
    query = {"version": answer.json()["version"], "presignedurls": "true"}
    assert statuses(f"/v1/bundles/{bundle.uuid}", stranger, api, **query) == [401, 200]
