"""Each bucket alone suffices: the catalog is made anew from it, and every read answers as before."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from unittest import mock

import pytest

from shared.bindings import change_binding
from shared.catalog import Queue
from shared.events.journal import compact
from shared.groups import groups_of
from shared.jobs.purge_undo import restore_purged
from shared.kinds import KINDS
from shared.maintenance import rebuild as rebuilding
from shared.maintenance.audit import Finding, Tally, audit
from shared.maintenance.event_rebuild import rebuild_events
from shared.maintenance.rebuild import Restored, rebuild
from shared.maintenance.repair import repair
from shared.messages import BundleEvent
from shared.purges.records import declare, is_due, new_purge, undo
from shared.purges.removal import remove
from tests.support.api import Api, new_uuid, now, put_bundle, put_file
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss, dss_here
from tests.support.dss import firestore_client
from tests.support.journal_reader import JournalEvent, read_events
from tests.support.manual_system import ManualSystem
from tests.support.system_snapshot import MANAGED, all_bundles, populated_system, snapshot

COLLECTIONS = (
    *("files", "bundles", "bundle_tombstones", "hidden_bundles"),
    *("collections", "collection_tombstones", "owned_collections"),
    *("access", "groups", "bindings", "memberships", "binding_marks"),
)
# What is not an object of the bucket.
MARKERS = ("hidden_bundles", "owned_collections", "bindings", "memberships", "binding_marks")
# What a rebuild restores first.
FIRST = ("groups", "access", "files")


@pytest.fixture(scope="module", autouse=True)
def _few_threads() -> Iterator[None]:
    """Restore few objects at once: there is not even one core for each of many threads.

    Where something is bound they label events of one journal in turn: one wins, and all others try again.
    """
    with mock.patch.object(rebuilding, "THREADS", 4):
        yield


@pytest.fixture(scope="module")
def system(stack: dict[str, str]) -> Iterator[ManualSystem]:
    """A system with something of everything, on both replicas, whose catalog these tests may lose."""
    with populated_system(stack) as system:
        yield system


def _counts(system: ManualSystem) -> dict[str, int]:
    client = firestore_client(system.env)
    counts = {name: sum(1 for _ in client.collection(name).list_documents()) for name in COLLECTIONS}
    client.close()
    return counts


def test_the_catalog_is_rebuilt_from_either_bucket(system: ManualSystem) -> None:
    before = {name: snapshot(system, name) for name in REPLICAS}
    counts = _counts(system)
    assert len(before["gcp"]["all"]) == 6, "four bundles from one replica, one from the other, a managed one"
    system.delete_catalog()
    dry = dss_here(system.env, "admin", "rebuild", "--replica", "aws", "--dry-run", "--json")
    assert dry.json["files"] == {"objects": counts["files"], "new": counts["files"], "failed": 0}
    assert sum(_counts(system).values()) == 0

    first = dss(system.env, "admin", "rebuild", "--replica", "aws", "--json")

    assert (first.code, first.err) == (0, "")
    assert first.json["files"] == {"objects": counts["files"], "new": counts["files"], "failed": 0}
    assert first.json["bundles"]["new"] == counts["bundles"]
    assert first.json["tombstones"]["new"] == counts["bundle_tombstones"] == 6
    assert first.json["collections"]["new"] == counts["collections"] == 8
    assert first.json["collection_tombstones"]["new"] == counts["collection_tombstones"] == 3
    assert _counts(system) == counts
    assert snapshot(system, "aws") == before["aws"]
    assert all_bundles(system, "gcp") == []

    second = dss_here(system.env, "admin", "rebuild", "--replica", "gcp")

    assert second.code == 0, second.err
    assert {name: snapshot(system, name) for name in REPLICAS} == before
    assert list(audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally())) == []


def test_a_rebuild_that_was_stopped_goes_on_and_no_managed_data_are_seen_meanwhile(
    system: ManualSystem,
) -> None:
    anyone, replica = system.api.signed_in(None), system.dss.replicas.named("gcp")
    [file] = system.api.get(f"/v1/bundles/{MANAGED}", replica="gcp").json()["bundle"]["files"]
    paths = (f"/v1/bundles/{MANAGED}", f"/v1/files/{file['uuid']}")

    def seen() -> list[int]:
        return [anyone.get(path, replica="gcp").status_code for path in paths]

    assert seen() == [401, 401]
    binding, counts = system.dss.catalog.bindings.current(MANAGED), _counts(system)
    system.delete_catalog()
    # Restored with so few threads that they aren't far ahead of what has been asked for.
    with mock.patch.object(rebuilding, "THREADS", 2):
        stopped = rebuild(system.dss, replica)
        begun = [one for one in islice(stopped, 8) if one.new]
        # Nobody may see them, whether they are there again or not.
        assert set(seen()) <= {401, 404}
        stopped.close()  # type: ignore[attr-defined]
    restored = _counts(system)
    done = sum(restored[name] for name in FIRST)

    rest, sections = [], []
    for restored_now in rebuild(system.dss, replica):
        sections.append(restored_now.section)
        rest += [restored_now] if restored_now.new else []
        assert set(seen()) <= {401, 404}, restored_now

    assert len(begun) == 8 <= done < sum(counts[name] for name in FIRST)
    assert len(rest) == sum(counts.values()) - sum(counts[name] for name in MARKERS) - done
    assert _counts(system) == counts
    assert sections.index("access") < sections.index("files")
    assert seen() == [401, 401]
    assert system.api.get(paths[0], replica="gcp").status_code == 200
    assert system.dss.catalog.bindings.current(MANAGED) == binding
    assert groups_of(system.dss, "Reader@example.org") == groups_of(system.dss, "x@example.com") == {"lab"}
    assert [one.failed for one in rebuild(system.dss, system.dss.replicas.named("aws")) if one.failed] == []


def _publish_all(system: ManualSystem, replica: str) -> None:
    system.publish_event(replica, *sorted(system.clouds.keys(replica, "bundles/")))


def _events(system: ManualSystem, replica: str) -> tuple[list[JournalEvent], list[JournalEvent]]:
    """Return the events of a replica in order of time: those that are in journals of many, and the others."""
    events = list(read_events(system.api, replica, per_page=10))
    alone = [event for event in events if event.journal_id == event.event_id]
    assert events[len(events) - len(alone) :] == alone
    return events[: len(events) - len(alone)], alone


def _line(system: ManualSystem, replica: str) -> list[JournalEvent]:
    """Return the events of a replica in order of time."""
    together, alone = _events(system, replica)
    return together + alone


def _publish_unpublished(system: ManualSystem, replica: str) -> list[BundleEvent]:
    """Sweep and index as if everything had waited too long; return the events that are published."""
    outbox = Queue(replica=replica, outbox=True)
    unpublished = system.dss.catalog.backlog.queued(KINDS.values(), outbox, before=system.dss.clock.now())
    return system.publish_event(replica, *(one.key for one in unpublished))


@pytest.fixture(scope="module")
def with_events(system: ManualSystem) -> None:
    """Make events that are in journals, others that are in none, and versions that were never to be seen."""
    at_once = replace(system.dss, settings=replace(system.dss.settings, journal_seconds=0))
    for replica in system.dss.replicas:
        _publish_all(system, replica.name)
        assert [len(journal.entries) for journal in compact(at_once, replica)] != []
        # Some more, which are in no journal yet; on the other replica the second is hidden before it comes.
        late = put_bundle(system.api, replica.name, [])
        gone = put_bundle(system.api, replica.name, [])
        path = f"/v1/bundles/{gone.uuid}"
        assert system.admin.delete(path, replica=replica.name, json={"reason": "x"}).status_code == 200
        keys = [f"bundles/{name}" for name in (late, gone, f"{gone.uuid}.dead")]
        system.publish_event(replica.name, *keys)
        system.replicate(replica.name, *keys)
    # What the last of the replicas wrote has come to the first.
    system.publish_event(REPLICAS[0], *keys)


@pytest.mark.usefixtures("with_events")
def test_events_are_rebuilt_with_their_times_and_sent_to_nobody(system: ManualSystem) -> None:
    before = {name: _events(system, name) for name in REPLICAS}
    # An event that is in the journal, and was not published before its process was killed.
    unpublished = put_bundle(system.api, "gcp", [])
    system.delete_catalog()

    for name in REPLICAS:
        outcome = dss_here(system.env, "admin", "rebuild", "--replica", name, "--json")
        assert (outcome.code, outcome.json["events"]["failed"]) == (0, 0), outcome.err
        events = len(before[name][0]) + len(before[name][1])
        assert outcome.json["events"]["objects"] == outcome.json["events"]["new"] == events

    assert {name: _events(system, name) for name in REPLICAS} == before
    assert {name: len(alone) for name, (_, alone) in before.items()} == {"gcp": 4, "aws": 3}
    assert len(before["aws"][0]) > 5
    # Only the event that was not published is published now.
    [event] = _publish_unpublished(system, "gcp")
    assert (event.uuid, event.version) == (unpublished.uuid, unpublished.version)
    assert event.timestamp > before["gcp"][1][-1].timestamp
    system.replicate("gcp", f"bundles/{unpublished}")
    assert len(_publish_unpublished(system, "aws")) == 1
    for replica in system.dss.replicas:
        assert not system.dss.catalog.journals.checkpoint(replica.name).held
    found = audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally())
    assert list(found) == []


@pytest.mark.usefixtures("with_events")
def test_nothing_has_to_be_paused_while_a_rebuild_is_interrupted_and_goes_on(system: ManualSystem) -> None:
    before = {name: _events(system, name) for name in REPLICAS}
    documents = {name: system.clouds.keys(name, "documents/") for name in REPLICAS}
    at_once = replace(system.dss, settings=replace(system.dss.settings, journal_seconds=0))
    system.delete_catalog()
    events_published: list[BundleEvent] = []
    seen: set[str] = set()

    for replica in system.dss.replicas:
        hidden = {name for key in system.clouds.keys(replica.name, "bundles/") if (name := _dead(key))}
        for steps in (3, 25, 50, 1000):
            begun = rebuild(system.dss, replica)
            for _ in islice(begun, steps):
                pass
            begun.close()  # type: ignore[attr-defined]
            # The sweep finds what is unpublished, others put journals together, and readers look.
            events_published += _publish_unpublished(system, replica.name)
            if system.dss.catalog.journals.checkpoint(replica.name).held:
                assert list(compact(at_once, replica)) == []
            listed = system.dss.catalog.bundles.enumerate(
                replica.name, readers=None, prefix="", after="", count=500
            )
            seen |= {str(fqid) for fqid in listed if {str(fqid), fqid.uuid} & hidden}

    assert events_published == []
    assert seen == set()
    assert {name: _events(system, name) for name in REPLICAS} == before
    assert {name: system.clouds.keys(name, "documents/") for name in REPLICAS} == documents


def _dead(key: str) -> str:
    """Return what a tombstone hides; empty for what is none."""
    return key.removeprefix("bundles/").removesuffix(".dead") if key.endswith(".dead") else ""


def _rebuild_events(system: ManualSystem, replica: str) -> list[str]:
    """Lose the catalog of events, make it anew of a bucket, and return the keys of what failed."""
    client = system.dss.catalog.database.client
    for name in ("events", "journals", "journal_checkpoints"):
        client.recursive_delete(client.collection(name))
    restored = rebuild_events(system.dss, system.dss.replicas.named(replica), dry_run=False)
    return [one.key for one in restored if one.failed]


@pytest.mark.usefixtures("with_events")
def test_a_journal_whose_object_or_index_is_lost_leaves_no_gap(system: ManualSystem, replica: str) -> None:
    _rebuild_events(system, replica)
    before = _line(system, replica)
    index = next(key for key in system.clouds.keys(replica, "journals/") if key.endswith(".json"))
    journal = index.removesuffix(".json")
    kept = {key: system.clouds.read(replica, key) for key in (journal, index)}
    lost = {one.event_id for one in before if f"journals/{one.journal_id}" == journal}
    assert lost

    system.remove(replica, journal)
    assert _rebuild_events(system, replica) == []
    assert system.clouds.read(replica, journal) == kept[journal]
    assert _line(system, replica) == before

    system.overwrite(replica, index, b"{}")
    assert _rebuild_events(system, replica) == [index]
    after = _line(system, replica)
    assert [one.timestamp for one in after] == sorted({one.timestamp for one in after})
    assert {(one.event_id, one.content) for one in after} == {(one.event_id, one.content) for one in before}
    # Those of other journals, and of none, have the times that they had.
    times = {one.event_id: one.timestamp for one in after}
    assert all(times[one.event_id] == one.timestamp for one in before if one.event_id not in lost)

    # Both replicas' events are lost at once, and made anew.
    system.overwrite(replica, index, kept[index])
    assert _rebuild_events(system, "gcp") == []
    assert [one.failed for one in rebuild_events(system.dss, system.dss.replicas.named("aws"), dry_run=False)]
    assert _line(system, replica) == before


@pytest.mark.usefixtures("with_events")
@pytest.mark.parametrize("how", ["lost", "corrupt"])
def test_documents_and_journals_are_made_again_byte_for_byte(
    system: ManualSystem, replica: str, how: str
) -> None:
    folders = ("documents/", "events/")
    keys = [key for folder in folders for key in system.clouds.keys(replica, folder)[::3]]
    keys += system.clouds.keys(replica, "journals/")[:2]
    before = {key: system.clouds.read(replica, key) for key in keys}
    assert len(keys) > 5
    for key, content in before.items():
        if how == "lost":
            system.remove(replica, key)
        else:
            # What is as long is known by its checksum; of what S3 has put together there is none.
            whole = replica == "aws" and key.startswith("journals/") and not key.endswith(".json")
            system.overwrite(replica, key, content[:-1] if whole else content.replace(b"e", b"f"))

    found = list(audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally()))
    assert {(one.kind.value, one.replica, one.key) for one in found} == {(how, replica, key) for key in keys}
    # Of one the other replica's document is missing, too, so that no copy is left. A version that was hidden
    # before it came to the other replica has no document there, in any order of the UUIDs.
    other = next(name for name in REPLICAS if name != replica)
    elsewhere = next(key for key in keys if key in system.clouds.keys(other, "documents/"))
    kept = system.clouds.read(other, elsewhere)
    system.remove(other, elsewhere)
    repairs = [repair(system.dss, one) for one in found]
    system.overwrite(other, elsewhere, kept)

    assert [one.left for one in repairs] == [""] * len(keys)
    assert {key: system.clouds.read(replica, key) for key in keys} == before
    again = audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally())
    assert list(again) == []


# What a test has broken for good: UUIDs, and parts of keys.
BROKEN: set[str] = set()


def fails_without_reason(restored: Restored) -> bool:
    """Return whether a rebuild of something fails that no test has broken."""
    return restored.failed and not any(part in restored.key for part in BROKEN)


@pytest.mark.usefixtures("with_events")
def test_what_nothing_explains_is_left_as_it_is(system: ManualSystem) -> None:
    """A journal of which the catalog has lost an event, and one of which a document cannot be made again."""
    [of_journal] = [
        one for one in system.dss.catalog.scan.journals() if one.replica == "gcp" and len(one.entries) > 5
    ]
    entry = of_journal.entries[-1]
    event = system.dss.catalog.events.get_many([entry.event_id])[entry.event_id]
    document = f"documents/{event.fqid}{'.dead' if event.type == 'TOMBSTONE' else ''}"
    kept = {name: system.clouds.read(name, document) for name in REPLICAS}
    journal = system.clouds.read("gcp", of_journal.key)
    row = system.dss.catalog.database.client.collection("events").document(entry.event_id)
    original = row.get().to_dict()

    def damaged(key: str) -> Finding:
        found = audit(
            system.dss, [system.dss.replicas.named("gcp")], settled_after=timedelta(0), tally=Tally()
        )
        [finding] = [one for one in found if one.key == key]
        return finding

    system.overwrite("gcp", of_journal.key, journal[:-1])
    for name in REPLICAS:
        system.overwrite(name, document, b"wrong")
    assert f"{document} is not as it was published" in repair(system.dss, damaged(of_journal.key)).left
    row.update({"digest": "0" * 64})
    assert "nothing that is still there" in repair(system.dss, damaged(document)).left
    row.delete()
    assert "lacks 1 of its events" in repair(system.dss, damaged(of_journal.key)).left
    assert system.clouds.read("gcp", of_journal.key) == journal[:-1]
    assert {system.clouds.read(name, document) for name in REPLICAS} == {b"wrong"}

    row.set(original)
    for name in REPLICAS:
        system.overwrite(name, document, kept[name])
    assert repair(system.dss, damaged(of_journal.key)).done
    assert system.clouds.read("gcp", of_journal.key) == journal


def test_a_rebuild_brings_back_nothing_that_was_purged(system: ManualSystem) -> None:
    gone, withheld, beside = (
        put_file(system.api, system.clouds.stage("gcp", os.urandom(50))) for _ in range(3)
    )
    bundles = [put_bundle(system.api, "gcp", [file.named("a")]) for file in (gone, withheld)]
    keys = [*(f"files/{file}" for file in (gone, withheld, beside)), *(f"bundles/{one}" for one in bundles)]
    system.replicate("gcp", *keys)
    for name in REPLICAS:
        system.publish_event(name, *keys)
    events = {name: len(_line(system, name)) for name in REPLICAS}
    kept = {name: system.clouds.read(name, f"files/{gone}") for name in REPLICAS}
    soon = replace(system.dss, settings=replace(system.dss.settings, purge_grace_hours=0))
    for name in (bundles[0].uuid, gone.uuid):
        purge = new_purge(soon, name, "", reason="withdrawn", by="admin@example.org")
        declare(soon, purge)
        remove(soon, purge)
    waiting = [
        new_purge(system.dss, name, "", reason="withdrawn", by="admin@example.org")
        for name in (bundles[1].uuid, withheld.uuid)
    ]
    for purge in waiting:
        declare(system.dss, purge)
        system.replicate("gcp", f"purges/{purge.fqid}")
    # As if it had been on its way when it was removed.
    system.overwrite("aws", f"files/{gone}", kept["aws"])

    def statuses() -> list[int]:
        paths = [f"/v1/files/{file.uuid}" for file in (gone, withheld, beside)]
        paths += [f"/v1/bundles/{bundle.uuid}" for bundle in bundles]
        return [system.api.get(path, replica=name).status_code for name in REPLICAS for path in paths]

    before = [410, 410, 302, 410, 410] * 2
    assert statuses() == before
    system.delete_catalog()

    for name in ("aws", "gcp"):
        failed = [one for one in rebuild(system.dss, system.dss.replicas.named(name)) if one.failed]
        assert failed == []
    system.replicate("aws", f"files/{gone}", f"files/{withheld}")

    assert statuses() == before
    assert {name: len(_line(system, name)) for name in REPLICAS} == {n: events[n] - 2 for n in REPLICAS}
    # A rebuild can't know whether what is due is removed already, and so that is done once more.
    for purge in [one for one in system.dss.catalog.purges.unfinished() if is_due(system.dss, one)]:
        remove(system.dss, purge)
    assert system.clouds.keys("aws", f"files/{gone}") == []
    system.overwrite("aws", f"files/{gone}", kept["aws"])
    found = list(audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally()))
    [late] = [finding for finding in found if finding.section == "files"]
    assert (late.key, late.why) == (f"files/{gone}", "it was removed for good")
    assert repair(system.dss, late).done == "erased: it was removed for good"
    for purge in waiting:
        undo(system.dss, purge, "admin@example.org")
    for purge in reversed(waiting):
        restore_purged(system.dss, purge)
    assert statuses() == [410, 302, 302, 410, 200] * 2
    assert {name: len(_line(system, name)) for name in REPLICAS} == {n: events[n] - 1 for n in REPLICAS}
    assert list(audit(system.dss, list(system.dss.replicas), settled_after=timedelta(0), tally=Tally())) == []


def test_what_cannot_be_proven_is_reported_and_does_not_stop_the_rest(system: ManualSystem) -> None:
    lost = put_file(system.api, system.clouds.stage("gcp", os.urandom(100)))
    bundle = put_bundle(system.api, "gcp", [lost.named("name")])
    [blob] = {one.checksums.blob_key for one in system.dss.catalog.scan.files() if one.fqid.uuid == lost.uuid}
    garbage = f"files/{new_uuid()}.{now()}"
    BROKEN.update((lost.uuid, bundle.uuid, garbage))
    system.overwrite("gcp", garbage, b"garbage")
    counts = _counts(system)
    system.remove("gcp", blob)
    system.delete_catalog()

    outcome = dss_here(system.env, "admin", "rebuild", "--replica", "gcp", "--json")

    assert outcome.code == 1
    reasons = {row["key"]: row["why"] for row in outcome.json["failures"]}
    assert set(reasons) == {f"files/{lost}", f"bundles/{bundle}", garbage}
    assert "no blob" in reasons[f"files/{lost}"]
    assert "not what its name says" in reasons[garbage]
    assert garbage in outcome.err
    assert _counts(system) == counts
    assert system.api.head(f"/v1/files/{lost.uuid}", replica="gcp").status_code == 404
    again: list[Restored] = [one for one in rebuild(system.dss, system.dss.replicas.named("gcp")) if one.new]
    assert again == []


def test_a_rebuild_never_shows_managed_events_to_others(system: ManualSystem) -> None:
    stranger, gcp = system.api.signed_in(None), system.dss.replicas.named("gcp")
    bundles = [put_bundle(system.api, "gcp", []) for _ in range(3)]
    system.publish_event("gcp", *(f"bundles/{bundle}" for bundle in bundles[:2]))
    list(compact(replace(system.dss, settings=replace(system.dss.settings, journal_seconds=0)), gcp))
    system.publish_event("gcp", f"bundles/{bundles[2]}")
    for bundle in bundles[1:]:
        change_binding(
            system.dss,
            bundle.uuid,
            "operator@example.org",
            lambda before: replace(before, readers=frozenset(("lab",))),
        )

    def listed(api: Api) -> set[str]:
        pages = api.pages("/v1/events", replica="gcp", per_page=10)
        streams = [stream for page in pages for stream in page.json()["event_streams"]]
        return {event["event_id"] for stream in streams for event in stream["events"]}

    public, everything = listed(stranger), listed(system.admin)
    assert len(everything - public) >= len(bundles[1:])
    system.delete_catalog()
    for number, restored in enumerate(rebuild(system.dss, gcp)):
        assert not fails_without_reason(restored)
        # Now and then, and as soon as events are known.
        if number % 20 == 0 or restored.section == "bundles":
            assert listed(stranger) <= public
    assert (listed(stranger), listed(system.admin)) == (public, everything)
    # Other tests go on with what is on the other replica.
    elsewhere = rebuild(system.dss, system.dss.replicas.named("aws"))
    assert [one.key for one in elsewhere if fails_without_reason(one)] == []
