"""A collection appears on the other replica once all that it links to is there, and is hidden on both."""

from collections.abc import Iterator

import pytest

from shared.errors import NotYetThere
from shared.replication import Replicated
from shared.system import Dss
from tests.support.api import Api, assert_problem, new_uuid, put_collection
from tests.support.clouds import Clouds
from tests.support.dss import open_dss
from tests.support.replication import (
    DIRECTIONS,
    head_states,
    new_bundle,
    new_file,
    read_status,
    replicate_keys,
)

BOTH = (["aws", "gcp"], [])


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Iterator[Dss]:
    with open_dss(stack) as system:
        yield system


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_collection_waits_for_what_it_links_to(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    file, other = (new_file(api, clouds, here, f'{{"a": "{new_uuid()}"}}'.encode()) for _ in range(2))
    bundle = new_bundle(api, here, other)
    inner = put_collection(api, here, [])
    links = [file.linked("x", path="/a"), bundle.linked("bundle"), inner.linked("collection")]
    collection = put_collection(api, here, links)
    key = f"collections/{collection}"

    for needed in ([f"files/{file}"], [f"files/{other}", f"bundles/{bundle}"], [f"collections/{inner}"]):
        with pytest.raises(NotYetThere, match="of its contents are not on"):
            replicate_keys(dss, here, key)
        assert clouds.keys(there, key) == []
        replicate_keys(dss, here, *needed)
    answer = api.get(f"/v1/collections/{collection.uuid}", replica=there)
    assert assert_problem(answer, 404, "not_found")["replica_state"] == "pending"
    assert replicate_keys(dss, here, key) == [Replicated(key=key, replica=there)]

    found = [api.get(f"/v1/collections/{collection.uuid}", replica=name).json() for name in (here, there)]
    assert found[0] == found[1]
    assert found[0]["contents"] == links
    assert clouds.read(there, key) == clouds.read(here, key)
    assert replicate_keys(dss, there, key) == replicate_keys(dss, here, key) == []


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_collection_waits_for_nothing_that_is_hidden(
    dss: Dss, admin: Api, clouds: Clouds, here: str, there: str
) -> None:
    bundle = new_bundle(admin, here, new_file(admin, clouds, here, new_uuid().encode()))
    inner = put_collection(admin, here, [])
    collection = put_collection(admin, here, [bundle.linked("bundle"), inner.linked("collection")])
    reason = {"reason": "wrong"}
    assert admin.delete(f"/v1/bundles/{bundle.uuid}", replica=here, json=reason).status_code == 200
    assert admin.delete(f"/v1/collections/{inner.uuid}", replica=here).status_code == 200

    replicate_keys(dss, here, f"collections/{collection}")

    assert read_status(admin, "collections", collection, there) == 200


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_tombstone_of_a_collection_waits_for_nothing(
    dss: Dss, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    file = new_file(api, clouds, here, b"content")
    collection = put_collection(api, here, [file.linked()])
    key = f"collections/{collection.uuid}.dead"
    assert api.delete(f"/v1/collections/{collection.uuid}", replica=here).status_code == 200

    assert replicate_keys(dss, here, key) == [Replicated(key=key, replica=there)]

    assert clouds.read(there, key) == clouds.read(here, key)
    uuid = collection.uuid
    assert head_states(dss, "collection_tombstones", uuid) == {uuid: (*BOTH, None)}
    replicate_keys(dss, here, f"files/{file}", f"collections/{collection}")
    assert read_status(api, "collections", collection, there) == 404
    # A version of it that another system might hide is none of ours.
    assert replicate_keys(dss, here, f"collections/{collection}.dead") == []


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_what_is_deleted_before_it_is_known_stays_hidden(dss: Dss, api: Api, here: str, there: str) -> None:
    """A catalog that is built anew may hear of a tombstone first."""
    collection = put_collection(api, here, [])
    assert api.delete(f"/v1/collections/{collection.uuid}", replica=here).status_code == 200
    client = dss.catalog.database.client
    for kind, name in (
        ("collections", str(collection)),
        ("collection_tombstones", collection.uuid),
        ("owned_collections", collection.uuid),
    ):
        client.recursive_delete(client.collection(kind).document(name))

    replicate_keys(dss, here, f"collections/{collection.uuid}.dead", f"collections/{collection}")

    assert (
        read_status(api, "collections", collection, here)
        == read_status(api, "collections", collection, there)
        == 404
    )
    assert head_states(dss, "collections", str(collection)) == {str(collection): (*BOTH, None)}
