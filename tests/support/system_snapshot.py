"""A system with objects of every kind, and a snapshot of the answers to every read of it."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from shared.bindings import change_binding
from shared.catalog import Binding
from shared.groups import add_members
from tests.support.api import Version, now, put_bundle, put_collection, put_file
from tests.support.manual_system import ManualSystem, manual_system_on

# The largest bundle has more names than a page holds; each file stands under NAMES_A_FILE of them.
NAMES = 520
NAMES_A_FILE = 260
# The UUID of a bundle that is bound to a group, and owned by it.
MANAGED = "ffffffff-0000-4000-8000-000000000001"


def populate(system: ManualSystem, replica: str) -> None:
    """Write versions, tombstones and a bundle of many pages on one replica, and replicate them."""
    system.replicated_world(replica, f"first on {replica}".encode())
    source = system.clouds.stage(replica, b"one content of many files", content_type="text/plain")
    first = put_file(system.api, source)
    second = put_file(
        system.api,
        system.clouds.stage(replica, b'{"second": "version"}', content_type="application/json"),
        file=Version(first.uuid, now()),
        creator_uid=7,
    )
    with ThreadPoolExecutor(8) as threads:
        made = threads.map(lambda _: put_file(system.api, source), range(NAMES // NAMES_A_FILE))
    many = list(made)
    names = [(file, number) for file in many for number in range(NAMES_A_FILE)]
    rows = [file.named(f"directory/{file.uuid}/{number}") for file, number in names]
    large = put_bundle(system.api, replica, [*rows, second.named("second.json", indexed=True)])
    newer = put_bundle(
        system.api, replica, [first.named("first")], bundle=Version(large.uuid, now()), creator_uid=9
    )
    empty = put_bundle(system.api, replica, [])
    files = [f"files/{file}" for file in (first, second, *many)]
    system.replicate(replica, *files, *(f"bundles/{bundle}" for bundle in (large, newer, empty)))
    # Nested collections, in an order that no listing has; the last one holds a deleted one.
    nested = [put_collection(system.api, replica, [second.linked("json", path="/second")])]
    for _ in range(3):
        nested.append(
            put_collection(system.api, replica, [large.linked("bundle"), nested[-1].linked("collection")])
        )
    answer = system.api.delete(f"/v1/collections/{nested[-2].uuid}", replica=replica)
    assert answer.status_code == 200
    system.replicate(replica, *(f"collections/{one}" for one in nested))
    system.replicate(replica, f"collections/{nested[-2].uuid}.dead")


def snapshot(system: ManualSystem, replica: str) -> dict[str, Any]:
    """Return the answers to every read of files, bundles and collections on a replica."""
    files, bundles, collections = (
        system.clouds.keys("gcp", prefix) for prefix in ("files/", "bundles/", "collections/")
    )
    with ThreadPoolExecutor(8) as threads:
        answers = dict(threads.map(lambda key: (key, _reads_of_file(system, replica, key)), files))
        answers |= dict(threads.map(lambda key: (key, _reads_of_bundle(system, replica, key)), bundles))
        reads = threads.map(lambda key: (key, _reads_of_collection(system, replica, key)), collections)
        answers |= dict(reads)
    owned = system.api.get("/v1/collections").json()["collections"]
    return {**answers, "all": all_bundles(system, replica), "owned": owned}


def all_bundles(system: ManualSystem, replica: str) -> list[dict[str, str]]:
    """Return all bundle versions that a replica lists."""
    pages = system.api.pages("/v1/bundles/all", replica=replica, per_page=10)
    return [row for page in pages for row in page.json()["bundles"]]


def _reads_of_file(system: ManualSystem, replica: str, key: str) -> list[Any]:
    uuid, _, version = key.removeprefix("files/").partition(".")
    answers = []
    for asked in (version, None):
        head = system.api.head(f"/v1/files/{uuid}", replica=replica, version=asked)
        get = system.api.get(f"/v1/files/{uuid}", replica=replica, version=asked)
        kept = {name: value for name, value in head.headers.items() if name.startswith("X-DSS")}
        # The signature changes with time; what is signed does not.
        place = get.headers.get("Location", "").partition("?")[0]
        answers.append((head.status_code, kept, get.status_code, place))
    return answers


def _reads_of_bundle(system: ManualSystem, replica: str, key: str) -> list[Any]:
    uuid, _, version = key.removeprefix("bundles/").removesuffix(".dead").partition(".")
    answers = []
    for asked in (version or None, None):
        pages = system.api.pages(f"/v1/bundles/{uuid}", replica=replica, version=asked, per_page=500)
        answers.append([(page.status_code, page.json()) for page in pages])
    return answers


def _reads_of_collection(system: ManualSystem, replica: str, key: str) -> list[Any]:
    uuid, _, version = key.removeprefix("collections/").removesuffix(".dead").partition(".")
    path = f"/v1/collections/{uuid}"
    asked = [system.api.get(path, replica=replica, version=one) for one in (version or None, None)]
    return [(answer.status_code, answer.json()) for answer in asked]


def bind_a_bundle(system: ManualSystem) -> None:
    """Bind a bundle and its file to a group, with a member that the system keeps."""
    file = put_file(system.api, system.clouds.stage("gcp", b"managed content"))
    managed = put_bundle(
        system.api, "gcp", [file.named("managed")], bundle=Version(MANAGED, now()), owner_group="dss"
    )
    system.replicate("gcp", f"files/{file}", f"bundles/{managed}")

    def bind(before: Binding) -> Binding:
        return replace(before, readers=frozenset({"dss"}), with_files=True)

    change_binding(system.dss, MANAGED, "operator", bind)
    add_members(system.dss, "lab", ["reader@example.org", "@example.com"], "operator")
    add_members(system.dss, "lab", ["other@example.org"], "operator")
    keys = [*system.clouds.keys("gcp", "access/"), *system.clouds.keys("gcp", "groups/")]
    system.replicate("gcp", *keys)
    assert [*system.clouds.keys("aws", "access/"), *system.clouds.keys("aws", "groups/")] == keys


@contextmanager
def populated_system(env: Mapping[str, str]) -> Iterator[ManualSystem]:
    """Yield a system with something of everything, on both replicas, whose catalog tests may lose."""
    with manual_system_on(env) as system:
        populate(system, "gcp")
        system.replicated_world("aws", b"first on aws")
        bind_a_bundle(system)
        yield system
