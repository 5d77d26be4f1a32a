"""Writers of what is derived from a bundle that began before its purge leave nothing of it to be seen."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from shared.catalog import Purge
from shared.events.journal import compact
from shared.events.publishing import publish_event
from shared.identifiers import Fqid, event_id, version_of
from shared.maintenance import index_rebuild
from shared.maintenance.index_check import IndexTally
from shared.maintenance.index_entries import expected_entry
from shared.messages import ObjectEvent
from shared.metadata import CREATE
from shared.purges.records import declare, new_purge, undo
from shared.purges.removal import remove
from shared.replicas import Replica
from shared.system import Dss
from tests.support.admin_system import AdminSystem
from tests.support.api import Version, new_uuid, now, put_bundle, put_file
from tests.support.journal_reader import read_events

REPLICA = "gcp"


class At:
    """Does something once, when a writer reaches a point."""

    def __init__(self, point: str, work: Callable[[], object]) -> None:
        self._point, self._work, self.done = point, work, False

    def reach(self, point: str) -> None:
        if point == self._point and not self.done:
            self.done = True
            self._work()


class Subject:
    """A bundle with a secret in its document, on one replica, whose event is not published yet."""

    def __init__(self, system: AdminSystem) -> None:
        self._system = system
        self.dss = replace(system.dss, settings=replace(system.dss.settings, journal_seconds=0))
        self.secret, self.start = new_uuid(), now()
        data = json.dumps({"donor": self.secret}).encode()
        file = put_file(system.api, system.clouds.stage(REPLICA, data, content_type="application/json"))
        self.bundle: Version = put_bundle(system.api, REPLICA, [file.named("donor.json", indexed=True)])
        self.fqid = Fqid(self.bundle.uuid, self.bundle.version)
        self.replica: Replica = self.dss.replicas.named(REPLICA)

    def during(self, point: str, work: Callable[[], object]) -> tuple[Dss, At]:
        """Return dependencies with which work is done at a point."""
        at = At(point, work)
        return replace(self.dss, faults=at), at  # type: ignore[arg-type] # it has `reach`

    def publish(self, dss: Dss | None = None) -> list[str]:
        """Publish the event as `index` does; return what was published."""
        published: list[str] = []
        event = ObjectEvent(replica=REPLICA, bucket=self.replica.bucket, key=f"bundles/{self.bundle}")
        publish_event(dss or self.dss, event, lambda message: published.append(message.type))
        return published

    def purge(self) -> Purge:
        """Purge the bundle, for an hour or longer."""
        settings = replace(self.dss.settings, purge_grace_hours=1)
        purge = new_purge(
            replace(self.dss, settings=settings), self.bundle.uuid, "", reason="withdrawn", by="x@example.org"
        )
        declare(self.dss, purge)
        return purge

    def purge_that_is_due(self) -> Purge:
        """Purge the bundle, without a grace period."""
        purge = replace(
            new_purge(self.dss, self.bundle.uuid, "", reason="withdrawn", by="x@example.org"),
            due=version_of(self.dss.clock.now()),
        )
        declare(self.dss, purge)
        return purge

    def put_back(self) -> None:
        """Put the event into the log, as if it had been recorded after the purge."""
        name = event_id(REPLICA, self.fqid, CREATE)
        event = self.dss.catalog.database.client.collection("events").document(name)
        event.update({"replica": REPLICA, "withheld_from": ""})

    def events(self) -> list[str]:
        """Return the events of the bundle that an admin reads in journals."""
        found = read_events(self._system.admin, REPLICA, from_date=self.start)
        return [CREATE for event in found if self.secret.encode() in event.content]

    def is_indexed(self) -> bool:
        return self.dss.index.held(REPLICA, self.fqid) is not None

    def journals_with_secret(self) -> list[str]:
        """Return the journals of the bucket whose object has the secret."""
        store, bucket = self.replica.store, self.replica.bucket
        return [
            stored.key
            for stored in store.list(bucket, "journals/")
            if self.secret.encode() in store.read(stored, 0, stored.size).read()
        ]


@pytest.fixture
def subject(system: AdminSystem) -> Iterator[Subject]:
    subject = Subject(system)
    list(compact(subject.dss, subject.replica))
    yield subject
    # Other tests find no purge that is left to be removed.
    for purge in list(subject.dss.catalog.purges.unfinished()):
        if purge.fqid.uuid == subject.bundle.uuid:
            undo(subject.dss, purge, "x@example.org")
    list(compact(subject.dss, subject.replica))


@pytest.mark.parametrize("point", ["index: document kept", "index: journalled", "index: indexed"])
def test_an_event_that_is_published_while_its_bundle_is_purged_is_withdrawn(
    subject: Subject, point: str
) -> None:
    purges: list[Purge] = []
    dss, at = subject.during(point, lambda: purges.append(subject.purge()))

    assert subject.publish(dss) == []

    assert at.done
    assert (subject.events(), subject.is_indexed()) == ([], False)
    list(compact(subject.dss, subject.replica))
    assert (subject.events(), subject.journals_with_secret()) == ([], [])
    # It stays in the outbox, and is published when the purge is undone.
    assert undo(subject.dss, purges[0], "x@example.org")
    assert subject.publish() == [CREATE]
    assert (subject.events(), subject.is_indexed()) == ([CREATE], True)


def test_an_event_that_was_compacted_before_it_is_withdrawn_is_not_listed(subject: Subject) -> None:
    purges: list[Purge] = []

    def purge_then_compact() -> None:
        purges.append(subject.purge())
        subject.put_back()
        list(compact(subject.dss, subject.replica))

    dss, at = subject.during("index: journalled", purge_then_compact)

    assert subject.publish(dss) == []

    assert at.done and subject.journals_with_secret()
    assert subject.events() == []
    assert undo(subject.dss, purges[0], "x@example.org")
    assert subject.events() == [CREATE]


def test_a_rebuild_that_read_a_head_before_its_purge_leaves_no_entry(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.publish()
    subject.dss.index.delete(REPLICA, subject.fqid)
    asked: list[Fqid] = []

    def expected(dss: Dss, replica: Replica, head: object) -> object:
        made = expected_entry(dss, replica, head)  # type: ignore[arg-type] # a head
        if made and made.fqid == subject.fqid and not asked:
            asked.append(made.fqid)
            subject.purge()
        return made

    monkeypatch.setattr(index_rebuild, "expected_entry", expected)
    rebuilt = list(index_rebuild.rebuild_index(subject.dss, subject.replica, tally=IndexTally()))

    assert [row.done for row in rebuilt if row.fqid == subject.fqid] == ["removed"]
    assert asked and not subject.is_indexed()


def test_a_journal_that_is_added_after_a_purge_does_not_list_its_events(
    subject: Subject, system: AdminSystem
) -> None:
    subject.publish()
    # A journal of which nothing is seen would hide nothing.
    other = Subject(system)
    other.publish()
    purges: list[Purge] = []
    dss, at = subject.during("compact: journal written", lambda: purges.append(subject.purge()))

    list(compact(dss, subject.replica))

    assert at.done and (subject.events(), other.events()) == ([], [CREATE])
    assert undo(subject.dss, purges[0], "x@example.org")
    assert subject.events() == [CREATE]


def test_a_claim_whose_events_were_all_purged_does_not_hold_up_compaction(
    subject: Subject, system: AdminSystem
) -> None:
    subject.publish()
    dss, at = subject.during("compact: claimed", subject.purge)

    list(compact(dss, subject.replica))

    other = Subject(system)
    other.publish()
    assert at.done and len(list(compact(subject.dss, subject.replica))) == 1
    assert (subject.events(), other.events()) == ([], [CREATE])


def test_a_removal_scrubs_what_was_recorded_after_the_purge(subject: Subject) -> None:
    purges: list[Purge] = []

    def compact_then_die() -> None:
        purges.append(subject.purge_that_is_due())
        subject.put_back()
        list(compact(subject.dss, subject.replica))
        raise KeyboardInterrupt

    dss, _ = subject.during("index: indexed", compact_then_die)
    with pytest.raises(KeyboardInterrupt):
        subject.publish(dss)
    assert subject.events() == [CREATE] and subject.journals_with_secret()

    remove(subject.dss, purges[0])

    assert (subject.events(), subject.journals_with_secret(), subject.is_indexed()) == ([], [], False)
