"""Bundles and collections by DRS: their contents, sizes and checksums."""

import hashlib
from dataclasses import replace

import pytest

from shared.bindings import change_binding
from shared.checksums import checksums_of, crc32c_of
from shared.drs.limits import DEEPEST
from shared.identifiers import Fqid
from shared.system import Dss
from tests.support.access_world import bind
from tests.support.api import Api, Version, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs

CONTENTS = (b"one", b"two, longer")


@pytest.fixture
def files(api: Api, clouds: Clouds) -> list[Version]:
    """Two files on gcp."""
    return [put_file(api, clouds.stage("gcp", content)) for content in CONTENTS]


@pytest.fixture
def bundle(api: Api, files: list[Version]) -> Version:
    """A bundle of the files, one of them in a directory."""
    return put_bundle(
        api, "gcp", [file.named(name) for file, name in zip(files, ("a/b c.txt", "z"), strict=True)]
    )


def joined(*checksums: str) -> bytes:
    """Return the text of which the checksum of a bundle is taken."""
    return "".join(sorted(checksums)).encode()


def test_a_bundle_lists_its_files_flat_under_legal_names(
    drs: Drs, bundle: Version, files: list[Version]
) -> None:
    for expand in (None, False, True):
        found = drs.object(bundle, expand=expand)

        assert found["contents"] == [
            {"name": name, "id": str(file), "drs_uri": [f"drs://127.0.0.1/{file}"]}
            for name, file in zip(("a_b_c.txt", "z"), files, strict=True)
        ]
        assert (found["id"], found["name"]) == (str(bundle), bundle.uuid)
        assert "access_methods" not in found


def test_the_size_and_checksums_of_a_bundle_are_those_of_its_files(drs: Drs, bundle: Version) -> None:
    found = drs.object(bundle.uuid)

    sums = [checksums_of(content) for content in CONTENTS]
    assert found["size"] == sum(map(len, CONTENTS))
    assert {one["type"]: one["checksum"] for one in found["checksums"]} == {
        "sha-256": hashlib.sha256(joined(*(one.sha256 for one in sums))).hexdigest(),
        "sha1": hashlib.sha1(joined(*(one.sha1 for one in sums))).hexdigest(),
        "crc32c": crc32c_of(joined(*(one.crc32c for one in sums))),
        "md5": hashlib.md5(joined(*(one.s3_etag for one in sums))).hexdigest(),
    }


def test_the_total_of_a_bundle_is_in_its_head_and_that_of_an_older_one_comes_there(
    drs: Drs, dss: Dss, bundle: Version
) -> None:
    reference = dss.catalog.database.client.collection("bundles").document(str(bundle))
    written = reference.get().get("total")
    found = drs.object(bundle)
    older = {name: value for name, value in reference.get().to_dict().items() if name != "total"}
    reference.set(older)

    assert drs.object(bundle) == found
    assert reference.get().get("total") == written
    assert written["size"] == found["size"]


def test_a_collection_is_a_bundle_of_what_it_links_to(
    api: Api, drs: Drs, dss: Dss, bundle: Version, files: list[Version]
) -> None:
    inner = put_collection(api, "gcp", [bundle.linked("bundle")])
    outer = put_collection(api, "gcp", [inner.linked("collection"), files[0].linked()])
    owner = drs.signed_in(api.token)

    found = owner.object(outer)

    assert [item["id"] for item in found["contents"]] == [str(inner), str(files[0])]
    assert [item["name"] for item in found["contents"]] == [str(inner), str(files[0])]
    assert all("contents" not in item for item in found["contents"])
    sizes = {str(one): owner.object(one)["size"] for one in (inner, files[0])}
    assert found["size"] == sum(sizes.values())
    sha256 = [checksum(owner.object(one), "sha-256") for one in (inner, files[0])]
    assert checksum(found, "sha-256") == hashlib.sha256(joined(*sha256)).hexdigest()
    kept = dss.catalog.collections.head(Fqid(outer.uuid, outer.version))
    assert kept
    assert kept.total
    assert owner.object(outer.uuid) == found


def checksum(found: dict[str, list[dict[str, str]]], kind: str) -> str:
    """Return a checksum of an object."""
    [one] = [checksum["checksum"] for checksum in found["checksums"] if checksum["type"] == kind]
    return one


def test_expand_lists_what_is_in_a_collection_all_the_way_down(
    api: Api, drs: Drs, bundle: Version, files: list[Version]
) -> None:
    inner = put_collection(api, "gcp", [bundle.linked("bundle")])
    outer = put_collection(api, "gcp", [inner.linked("collection"), bundle.linked("bundle")])

    found = drs.signed_in(api.token).object(outer, expand=True)

    within, beside = found["contents"]
    assert [item["id"] for item in within["contents"]] == [str(bundle)]
    assert within["contents"][0]["contents"] == beside["contents"]
    assert [item["id"] for item in beside["contents"]] == [str(file) for file in files]


def test_a_bulk_request_without_expand_lists_no_contents_of_what_is_in_a_collection(
    api: Api, drs: Drs, bundle: Version
) -> None:
    collection = put_collection(api, "gcp", [bundle.linked("bundle")])
    ids = {"bulk_object_ids": [str(collection), str(bundle)]}
    owner = drs.signed_in(api.token)

    for expand in (False, True):
        found = owner.post("/objects", ids, expand=expand).json()["resolved_drs_object"]
        assert found == [owner.object(one, expand=expand) for one in (collection, bundle)]
        assert ("contents" in found[0]["contents"][0]) == expand


def test_what_a_reader_of_a_collection_may_not_read_is_not_in_its_total(
    api: Api, drs: Drs, dss: Dss, files: list[Version]
) -> None:
    inner = put_collection(api, "gcp", [files[0].linked()])
    outer = put_collection(api, "gcp", [inner.linked("collection"), *(file.linked() for file in files)])
    owner = drs.signed_in(api.token)
    small, large = map(len, CONTENTS)
    assert owner.object(outer)["size"] == small + small + large

    # What was kept is for the owner alone: others may not read the inner one.
    bind(dss, outer.uuid, readers=frozenset(("public",)))
    for client in (drs, owner):
        assert client.object(outer)["size"] == small + large
    assert len(drs.object(outer)["contents"]) == 3
    bind(dss, inner.uuid, readers=frozenset(("public",)))
    assert drs.object(outer)["size"] == small + small + large

    managed = put_collection(api, "gcp", [file.linked() for file in files])
    bind(dss, files[1].uuid, readers=frozenset(("dss",)))
    for readers, size in (("public", small), ("dss", small + large), ("lab", small), ("public", small)):
        bind(dss, managed.uuid, readers=frozenset((readers,)))
        kept = dss.catalog.collections.head(Fqid(managed.uuid, managed.version))
        assert owner.object(managed)["size"] == size, readers
    assert kept
    assert kept.total_readers == frozenset(("dss",))


def test_what_was_deleted_is_not_in_a_total(api: Api, admin: Api, drs: Drs, bundle: Version) -> None:
    collection = put_collection(api, "gcp", [bundle.linked("bundle")])
    admin.delete(f"/v1/bundles/{bundle.uuid}", replica="gcp", json={"reason": "test"})

    found = drs.signed_in(api.token).object(collection)

    assert (found["size"], len(found["contents"])) == (0, 1)


def test_a_bundle_without_files_and_a_collection_without_links_are_empty(api: Api, drs: Drs) -> None:
    bundle, collection = put_bundle(api, "gcp", []), put_collection(api, "gcp", [])

    for one in (bundle, collection):
        found = drs.signed_in(api.token).object(one)

        assert (found["contents"], found["size"]) == ([], 0)
        assert checksum(found, "sha-256") == hashlib.sha256(b"").hexdigest()


def test_expand_does_not_show_what_is_in_a_bundle_that_the_caller_may_not_read(
    api: Api, drs: Drs, dss: Dss, bundle: Version
) -> None:
    collection = put_collection(api, "gcp", [bundle.linked("bundle")])
    owner = drs.signed_in(api.token)
    [item] = owner.object(collection, expand=True)["contents"]
    assert len(item["contents"]) == len(CONTENTS)

    readers = frozenset(("another-lab",))
    change_binding(dss, bundle.uuid, "operator@example.org", lambda before: replace(before, readers=readers))

    [item] = owner.object(collection, expand=True)["contents"]
    assert item["id"] == str(bundle)
    assert "contents" not in item


def test_collections_are_followed_sixteen_deep_and_each_can_be_asked_for(api: Api, drs: Drs) -> None:
    chain = [put_collection(api, "gcp", [])]
    for _ in range(DEEPEST + 1):
        chain.append(put_collection(api, "gcp", [chain[-1].linked("collection")]))
    owner = drs.signed_in(api.token)

    # The total of the innermost is not known yet, and it is too far below.
    refused = owner.get(f"/objects/{chain[-1]}")
    assert refused.status_code == 413
    assert str(chain[1]) in refused.json()["msg"]
    assert owner.object(chain[1])["size"] == 0
    assert owner.object(chain[-1])["size"] == 0
    assert owner.get(f"/objects/{chain[-1]}", expand=True).status_code == 413
    assert owner.get(f"/objects/{chain[DEEPEST - 1]}", expand=True).status_code == 200
    assert owner.get(f"/objects/{chain[DEEPEST]}", expand=True).status_code == 413
