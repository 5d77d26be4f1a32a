"""The index as runs: checked in slices, and rebuilt after a check was seen."""

import os
from datetime import timedelta

import pytest

from shared.catalog import AdminRun
from shared.identifiers import Fqid
from shared.search.base import IndexEntry
from tests.support.admin_system import AdminSystem
from tests.support.api import new_uuid, now
from tests.support.clouds import REPLICAS

CHECK, REBUILD = {"kind": "index-check"}, {"kind": "index-rebuild"}


@pytest.fixture(scope="module")
def indexed(system: AdminSystem) -> Fqid:
    """A bundle version of which the index holds all that it should, on every replica."""
    world = system.replicated_world("gcp", os.urandom(1000))
    for name in REPLICAS:
        system.publish_event(name, *world.documents)
    return Fqid(world.seen.uuid, world.seen.version)


@pytest.fixture
def checked(system: AdminSystem) -> AdminRun:
    """A check of one replica, by which nothing stale is found."""
    return system.run(**CHECK, replicas=["gcp"], names_only=True)


def test_what_slices_find_wrong_is_put_right_in_slices(system: AdminSystem, indexed: Fqid) -> None:
    index, unknown = system.dss.index, Fqid(new_uuid(), now())
    index.delete("aws", indexed)
    index.put(IndexEntry(replica="gcp", fqid=indexed, document={"uuid": indexed.uuid}))
    index.put(IndexEntry(replica="gcp", fqid=unknown, document={}))

    whole = system.run(**CHECK)
    sliced = system.run(**CHECK, page=2)
    rebuilt = system.run(**REBUILD, confirmation=sliced.id, page=4)
    after = system.run(**CHECK)

    wrong = {("missing", "aws", indexed), ("stale", "gcp", indexed), ("superfluous", "gcp", unknown)}
    # What the catalog knows, and what it does not.
    assert (whole.parts, sliced.parts) == (1, (whole.counts["known"] + 1) // 2 + 1)
    for run in (whole, sliced):
        lines = system.report_lines(run)
        assert wrong == {(line["kind"], line["replica"], Fqid.parse(line["fqid"])) for line in lines}
        assert run.counts == whole.counts and len(lines) == run.counts["findings"] == 3
    done = {(line["done"], line["replica"], line["fqid"]) for line in system.report_lines(rebuilt)}
    assert done >= {
        ("written", "aws", str(indexed)),
        ("written", "gcp", str(indexed)),
        ("removed", "gcp", str(unknown)),
    }
    assert (rebuilt.counts["gcp removed"], rebuilt.counts["failed"]) == (1, 0)
    assert rebuilt.parts >= 2 and after.counts["findings"] == 0


def test_a_rebuild_without_a_check_is_refused(system: AdminSystem, checked: AdminRun) -> None:
    audit = system.run(kind="audit")
    refused = [
        system.run_and_fail(**REBUILD),
        system.run_and_fail(**REBUILD, confirmation="a/b"),
        system.run_and_fail(**REBUILD, confirmation=new_uuid()),
        system.run_and_fail(**REBUILD, confirmation=audit.id),
        system.run_and_fail(**REBUILD, confirmation=checked.id),
    ]
    rows = system.dss.catalog.database.client.collection("admin_runs")
    rows.document(checked.id).update({"touched": system.dss.clock.now() - timedelta(hours=25)})
    refused.append(system.run_and_fail(**REBUILD, confirmation=checked.id, replicas=["gcp"]))

    unknown = ["not the id of an index-check that has succeeded"] * 2
    words = ("a string of", "not the id of a run", *unknown, "checked only gcp", "older than a day")
    assert [why for why, said in zip(refused, words, strict=True) if said not in why] == []
