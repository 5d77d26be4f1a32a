"""The index cannot drift unseen: `dss admin index` names what is wrong, and puts it right."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from shared.bindings import change_binding
from shared.config import Settings
from shared.identifiers import Fqid
from shared.search.base import IndexBackend, IndexEntry
from shared.search.query import MatchAll
from shared.wiring import open_system
from tests.support.api import Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import REPLICAS
from tests.support.command_line import Outcome, dss_here
from tests.support.manual_system import ManualSystem, World, manual_system_on
from tests.support.queries import total

BUNDLES = 12


@pytest.fixture(scope="module")
def system(stack: dict[str, str]) -> Iterator[ManualSystem]:
    """A system whose index is in PostgreSQL; all of its events have been pushed."""
    with manual_system_on(stack) as system:
        yield system


@pytest.fixture(scope="module")
def worlds(system: ManualSystem) -> dict[str, World]:
    """What was made on each replica, and is on both."""
    worlds = {name: system.replicated_world(name, f"of {name}".encode()) for name in REPLICAS}
    for world in worlds.values():
        for name in REPLICAS:
            system.publish_event(name, *world.documents)
    return worlds


@pytest.fixture(scope="module")
def bundles(system: ManualSystem) -> list[Version]:
    """Bundles of a JSON file each, on one replica."""
    made = []
    for number in range(BUNDLES):
        source = system.clouds.stage("gcp", b'{"n": %d}' % number, content_type="application/json")
        file = put_file(system.api, source)
        made.append(put_bundle(system.api, "gcp", [file.named("a.json", indexed=True)]))
    system.publish_event("gcp", *(f"bundles/{bundle}" for bundle in made))
    return made


def index_of(system: ManualSystem, name: str) -> IndexBackend:
    with mock.patch.dict(os.environ, system.env):
        return open_system(replace(Settings.from_environment(), index=name)).index


def admin(system: ManualSystem, back_end: str, *arguments: object) -> Outcome:
    """Run `dss admin index`, as an operator whose settings name a back end."""
    return dss_here({**system.env, "DSS_INDEX": back_end}, "admin", "index", *arguments)


def held(index: IndexBackend) -> dict[str, list[Any]]:
    return {name: list(index.entries(name)) for name in REPLICAS}


def bind(system: ManualSystem, bundle: Fqid, *readers: str) -> None:
    """Bind a bundle to readers; none unbinds it."""
    change_binding(
        system.dss,
        bundle.uuid,
        "operator@example.org",
        lambda before: replace(before, readers=frozenset(readers)),
    )


def fqid(bundle: Version) -> Fqid:
    return Fqid(bundle.uuid, bundle.version)


@pytest.mark.usefixtures("worlds", "bundles")
def test_the_index_is_right_and_a_rebuild_fills_another_back_end(system):
    checked = admin(system, "postgresql", "check")
    entries = held(system.dss.index)
    # The bundle of each world that is to be seen, and where they were to be seen once, two that are hidden.
    assert [len(entries[name]) for name in REPLICAS] == [4 + BUNDLES, 4]
    empty = admin(system, "firestore", "check", "--json")

    rebuilt = admin(system, "firestore", "rebuild", "--json")

    assert (checked.code, checked.out.splitlines()[-1]) == (0, "0 findings")
    assert (empty.code, empty.json["replicas"]["gcp"]["missing"]) == (1, 4 + BUNDLES)
    assert (rebuilt.code, rebuilt.json["failed"]) == (0, 0), rebuilt
    assert held(index_of(system, "firestore")) == entries
    assert admin(system, "firestore", "check").code == 0
    again = admin(system, "firestore", "rebuild", "--replica", "gcp", "--json").json["replicas"]["gcp"]
    assert (again["right"], again["written"], again["removed"]) == (4 + BUNDLES, 0, 0)


@pytest.mark.parametrize("back_end", ["postgresql", "firestore"])
def test_everything_that_is_wrong_is_named_and_put_right(
    system: ManualSystem, worlds: dict[str, World], bundles: list[Version], tmp_path: Path, back_end: str
) -> None:
    bound, open_to_all = fqid(bundles[3]), fqid(bundles[4])
    bind(system, bound, "lab")
    assert admin(system, back_end, "rebuild").code == 0
    index, world = index_of(system, back_end), worlds["aws"]
    right = held(index)
    missing, stale, dead, alive = fqid(bundles[0]), fqid(bundles[1]), fqid(bundles[2]), fqid(world.one_hidden)
    unknown = Fqid(new_uuid(), now())
    index.delete("gcp", missing)
    index.delete("aws", alive)
    index.put(IndexEntry(replica="gcp", fqid=stale, document={"uuid": stale.uuid}))
    index.put(
        IndexEntry(replica="gcp", fqid=dead, document={"admin_deleted": True, "uuid": dead.uuid}, dead=True)
    )
    index.put(IndexEntry(replica="aws", fqid=alive, document={"uuid": alive.uuid}))
    index.put(IndexEntry(replica="aws", fqid=unknown, document={}))
    index.set_readers("gcp", bound, frozenset())
    index.set_readers("gcp", open_to_all, frozenset(("lab",)))
    report = tmp_path / "report"

    quick = admin(system, back_end, "check", "--names-only", "--json")
    found = admin(system, back_end, "check", "--report", report)

    *lines, last = map(json.loads, report.read_text().splitlines())
    wrong = {
        ("missing", "gcp", str(missing)),
        ("stale", "gcp", str(stale)),
        ("dead", "gcp", str(dead)),
        ("readers", "gcp", str(bound)),
        ("readers", "gcp", str(open_to_all)),
        ("alive", "aws", str(alive)),
        ("superfluous", "aws", str(unknown)),
    }
    assert {(line["kind"], line["replica"], line["fqid"]) for line in lines} == wrong
    assert (found.code, last["summary"]["findings"], quick.code, quick.json["findings"]) == (1, 7, 1, 6)
    assert f"stale on gcp: {stale}" in found.out

    rebuilt = admin(system, back_end, "rebuild", "--json")

    results = rebuilt.json["replicas"]
    assert (rebuilt.code, results["gcp"]["written"], results["gcp"]["removed"]) == (0, 5, 0)
    assert (results["aws"]["written"], results["aws"]["removed"]) == (1, 1)
    assert held(index) == right
    assert admin(system, back_end, "check").code == 0
    bind(system, bound)


@pytest.mark.usefixtures("worlds")
def test_a_rebuild_goes_on_behind_a_name_and_writes_nothing_before_it(system, bundles):
    names = sorted(map(fqid, bundles))
    for name in names:
        system.dss.index.delete("gcp", name)

    outcome = admin(system, "postgresql", "rebuild", "--replica", "gcp", "--after", names[4], "--json")

    assert (outcome.code, outcome.json["replicas"]["gcp"]["written"]) == (0, BUNDLES - 5)
    held_now = {one.fqid for one in system.dss.index.entries("gcp")}
    assert [name in held_now for name in names] == [False] * 5 + [True] * (BUNDLES - 5)
    assert "--after" in admin(system, "postgresql", "rebuild", "--after", names[0]).err
    assert admin(system, "postgresql", "rebuild", "--replica", "gcp").code == 0


def test_writes_under_way_are_no_findings_and_a_rebuild_beside_them_loses_nothing(system, worlds, bundles):
    unpublished = put_bundle(system.api, "gcp", [])
    unsettled = admin(system, "postgresql", "check", "--json")
    made: list[Version] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            made.append(put_bundle(system.api, "gcp", []))
            system.publish_event("gcp", f"bundles/{made[-1]}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for name in map(fqid, bundles):
            system.dss.index.delete("gcp", name)
        rebuilt = admin(system, "postgresql", "rebuild", "--replica", "gcp", "--json")
    finally:
        stop.set()
        writer.join()

    assert (unsettled.code, unsettled.json["replicas"]["gcp"]["unsettled"]) == (0, 1)
    assert rebuilt.code == 0 and made
    there = {one.fqid for one in system.dss.index.entries("gcp")}
    assert there.issuperset(map(fqid, [unpublished, *made, *bundles]))
    assert total(system.dss.index, "gcp", MatchAll()) == len([*made, *bundles, *worlds]) + 1
