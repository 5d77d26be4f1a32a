"""Catalogues are checked against the catalog, filled again, and follow what they have missed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest

from functions.explore import Indexing
from functions.push import Message
from run.explore.health import Health
from shared import catalogue_indexing
from shared.catalogue_indexing import Indexer
from shared.errors import IllegalArguments, MadeOtherwise, NotFound, NotYetThere, Unavailable
from shared.events.publishing import publish_event
from shared.explore.base import DELETED, FAILED, INDEXED, LEFT_OUT, WITHDRAWN, BundleState
from shared.explore.changes import Said
from shared.explore.settings import CatalogueSetting
from shared.identifiers import Fqid
from shared.maintenance.catalogue_backlog import _turns, backlog_of, catch_up
from shared.maintenance.catalogue_check import CatalogueTally, check_catalogue
from shared.maintenance.catalogue_reindex import READS, Reindexed, Reindexing, deindex, reindex
from shared.maintenance.catalogue_rows import chosen
from shared.messages import BUNDLE_CHANGES, BundleChange, ObjectEvent
from shared.system import Dss
from tests.support.api import Api, Version
from tests.support.catalogues import (
    BAD,
    GOOD,
    OTHER,
    Shelf,
    fqid_of,
    new_setting,
    put_files,
    with_catalogues,
)
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads


class Published:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, str]]] = []

    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        """Keep a message."""
        del data
        self.messages.append((topic, dict(attributes)))


@dataclass(frozen=True)
class World(Shelf):
    """A catalogue with bundles that it should hold, in a system in which nothing happens by itself."""

    api: Api
    admin: Api
    clouds: Clouds

    @property
    def setting(self) -> CatalogueSetting:
        """The configuration of the catalogue."""
        return self.catalogue.setting

    def put(self, files: Mapping[str, Any]) -> Version:
        """Put a bundle, and have its event published."""
        bundle = put_files(self.api, self.clouds, self.setting, files)
        self.publish(f"bundles/{bundle}")
        return bundle

    def delete(self, bundle: Version) -> None:
        """Hide a bundle version, and have its event published."""
        path = f"/v1/bundles/{bundle.uuid}"
        answer = self.admin.delete(path, replica="gcp", version=bundle.version, json={"reason": "x"})
        assert answer.status_code == 200, answer.text
        self.publish(f"bundles/{bundle}.dead")

    def publish(self, key: str) -> None:
        """Publish the events of an object."""
        bucket = self.dss.replicas.named("gcp").bucket
        publish_event(self.dss, ObjectEvent(replica="gcp", bucket=bucket, key=key))

    def index(self, *bundles: Version) -> None:
        """Index bundles, as their events would."""
        for bundle in bundles:
            Indexer(self.dss).index("gcp", fqid_of(bundle))

    def found(self, *, documents: bool = True, prefix: str = "") -> set[tuple[str, str]]:
        """Return the findings of a check: kinds and FQIDs."""
        found = check_catalogue(
            self.dss, self.catalogue, documents=documents, tally=CatalogueTally(), prefix=prefix
        )
        return {(one.kind.value, str(one.fqid)) for one in found}

    def reindex(self, how: Reindexing = Reindexing()) -> list[Reindexed]:  # noqa: B008 # it is frozen
        """Reindex the catalogue; return what was done."""
        return list(reindex(self.dss, self.catalogue, how))


@pytest.fixture(scope="module")
def system(stack: dict[str, str]) -> Dss:
    return replace(open_dss_for_threads(stack, publishes=False), publisher=Published())


@pytest.fixture
def world(system: Dss, api: Api, admin: Api, clouds: Clouds) -> Iterator[World]:
    setting = new_setting()
    with with_catalogues(system, setting, sweep_seconds=0) as dss:
        yield World(dss, setting.name, api, admin, clouds)


def test_a_check_finds_what_is_wrong_both_ways_and_a_reindexing_corrects_it(world: World) -> None:
    lost, stale, hidden, readers, fine = (world.put(GOOD) for _ in range(5))
    failed, other = world.put(BAD), world.put(OTHER)
    world.index(stale, hidden, readers, fine, failed, other)
    world.delete(hidden)
    unknown = Fqid(fqid_of(fine).uuid, "2020-01-01T000000.000000Z")
    put, catalogue = world.dss.catalogues.put, world.catalogue
    put(catalogue, BundleState(fqid=fqid_of(stale), state=LEFT_OUT, labels=world.held()[str(stale)].labels))
    put(catalogue, BundleState(fqid=unknown, state=FAILED, reason="x"))
    put(catalogue, BundleState(fqid=fqid_of(readers), state=LEFT_OUT, labels=frozenset(("g:lab",))))
    wrong = {("dark", str(hidden)), ("dark", str(unknown)), ("lost", str(lost)), ("readers", str(readers))}

    assert world.found(documents=False) == wrong
    assert world.found() == wrong | {("stale", str(stale))}
    assert world.found(prefix=lost.uuid) == {("lost", str(lost))}

    done = {str(one.fqid): one.done for one in world.reindex()}

    assert world.found() == set()
    assert done == {
        str(lost): INDEXED,
        str(stale): INDEXED,
        str(readers): INDEXED,
        str(hidden): DELETED,
        str(unknown): WITHDRAWN,
        str(failed): FAILED,
        str(fine): "right",
        str(other): "right",
    }


def test_what_has_just_happened_is_unsettled(world: World) -> None:
    world.put(GOOD)
    recent = replace(world.dss, settings=replace(world.dss.settings, sweep_seconds=600))
    tally = CatalogueTally()

    assert list(check_catalogue(recent, world.catalogue, documents=True, tally=tally)) == []
    assert (tally.known, tally.held, tally.unsettled) == (1, 0, 1)


@pytest.mark.parametrize("read_from", ["documents", "bucket"])
def test_a_reindexing_reads_documents_or_the_bucket(world: World, read_from: str) -> None:
    bundle = world.put(GOOD)
    bucket, key = world.clouds.main["gcp"], f"documents/{bundle}"
    document = world.clouds.read("gcp", key)
    wrong = b'{"manifest": {"files": []}, "files": {}}'
    world.clouds.stage("gcp", wrong, bucket=bucket, key=key, metadata={})
    try:
        world.reindex(Reindexing(read_from=read_from))
    finally:
        # No journal can be written of a document that has changed, and other tests compact the events.
        world.clouds.stage("gcp", document, bucket=bucket, key=key, metadata={})

    assert world.states() == {str(bundle): LEFT_OUT if read_from == "documents" else INDEXED}


def test_a_new_release_has_what_has_failed_tried_again(world: World) -> None:
    good, bad = world.put(GOOD), world.put(BAD)
    world.index(good, bad)
    published = Published()
    dss = replace(world.dss, publisher=published)
    sweep = partial(catch_up, dss, older_than=timedelta(0))
    tried = (BUNDLE_CHANGES, BundleChange(replica="gcp", uuid=bad.uuid, version=bad.version).attributes)

    list(sweep())
    assert published.messages == []
    with (
        mock.patch.object(catalogue_indexing, "RELEASE", "2"),
        mock.patch("shared.maintenance.catalogue_backlog.RELEASE", "2"),
    ):
        assert [one.objects for one in sweep()] == [0]
        assert published.messages == [tried]
        world.index(bad)
        list(sweep())
    assert published.messages == [tried]
    assert world.held()[str(bad)].release == "2"
    tried_again = {str(one.fqid): one.done for one in world.reindex(Reindexing(only_failed=True))}
    assert tried_again == {str(good): "right", str(bad): FAILED}


def test_a_sweep_finds_the_events_that_have_not_come(world: World) -> None:
    published = Published()
    dss = replace(world.dss, publisher=published)
    first, lost, gone = (world.put(GOOD) for _ in range(3))
    world.index(first, gone)
    world.delete(gone)

    [backlog] = catch_up(dss, older_than=timedelta(hours=1))
    assert (backlog.catalogue, backlog.replica, backlog.objects) == (world.name, "gcp", 2)
    assert 0 < backlog.oldest_seconds < 3600 and published.messages == []
    [stored] = [one for one in dss.catalogues.upkeep.stored() if one.name == world.name]
    assert stored.waiting and stored.waiting.events == 2

    list(catch_up(dss, older_than=timedelta(0)))
    assert {message["uuid"] for _, message in published.messages} == {lost.uuid, gone.uuid}

    world.index(lost, gone)
    assert [one.objects for one in catch_up(dss, older_than=timedelta(0))] == [0]
    assert backlog_of(dss, world.catalogue).oldest_seconds == 0
    # Nothing is read twice: what is forgotten now is not missed.
    dss.catalogues.forget(world.catalogue, [fqid_of(first)])
    assert backlog_of(dss, world.catalogue).objects == 0


def test_a_sweep_finds_in_turns_what_others_find_than_those_who_may(world: World) -> None:
    published = Published()
    dss = replace(world.dss, publisher=published)
    bundles = sorted((world.put(GOOD) for _ in range(3)), key=str)
    world.index(*bundles)
    lab = frozenset(("g:lab",))
    for bundle in (bundles[0], bundles[2]):
        world.dss.catalogues.put(
            world.catalogue, BundleState(fqid=fqid_of(bundle), state=LEFT_OUT, labels=lab)
        )

    def brought() -> list[str]:
        published.messages.clear()
        list(catch_up(dss, older_than=timedelta(0)))
        return [message["uuid"] for _, message in published.messages]

    with mock.patch("shared.maintenance.catalogue_backlog._MOST_COMPARED", 2):
        # Nothing is brought to mind again before its message has ended.
        assert [brought() for _ in range(4)] == [[bundles[0].uuid], [bundles[2].uuid], [], []]
        with mock.patch("shared.maintenance.catalogue_backlog._AGAIN", timedelta(0)):
            assert brought() == [bundles[0].uuid]


def test_an_event_that_goes_on_waiting_is_brought_to_mind_ever_more_rarely() -> None:
    minutes = range(0, 5 * 24 * 60, 5)
    turns = [_turns(timedelta(minutes=minute), timedelta(minutes=10)) for minute in minutes]

    assert turns == sorted(turns)
    due = [minute for minute, one, other in zip(minutes[1:], turns, turns[1:], strict=False) if other > one]
    assert due[:5] == [10, 20, 40, 80, 160]
    assert len([minute for minute in due if minute > 24 * 60]) == 4


def test_of_two_catalogues_of_a_replica_nothing_is_brought_to_mind_twice(
    system: Dss, api: Api, admin: Api, clouds: Clouds
) -> None:
    first = new_setting()
    published = Published()
    with with_catalogues(system, first, replace(first, name=f"{first.name}-2"), sweep_seconds=0) as dss:
        bundle = World(dss, first.name, api, admin, clouds).put(GOOD)
        backlogs = list(catch_up(replace(dss, publisher=published), older_than=timedelta(0)))

    assert [one.objects for one in backlogs] == [1, 1]
    assert [message["uuid"] for _, message in published.messages] == [bundle.uuid]


def test_a_reindexing_withdraws_what_a_narrower_prefix_leaves_out(world: World) -> None:
    kept, left = sorted((world.put(GOOD), world.put(GOOD)), key=str)
    world.index(kept, left)
    narrower = replace(world.setting, prefix=kept.uuid)

    with with_catalogues(world.dss, narrower, sweep_seconds=0) as dss:
        narrowed = replace(world, dss=dss)
        assert narrowed.found() == narrowed.found(prefix=left.uuid) == {("dark", str(left))}
        narrowed.reindex()
        assert narrowed.states() == {str(kept): INDEXED, str(left): WITHDRAWN}
        assert narrowed.found() == set()


def test_what_a_reindexing_cannot_read_is_tried_again_by_the_sweep(world: World) -> None:
    bundle = world.put(GOOD)

    with mock.patch.dict(READS, documents=mock.Mock(side_effect=NotYetThere("no document"))):
        [done] = world.reindex()

    assert done.failed == "no document"
    held = world.held()[str(bundle)]
    assert (held.state, held.release, held.reason) == (FAILED, "", "no document")


@pytest.mark.parametrize(
    "changed", [{"plugin": "generic", "options": {"facets": {"a": "b"}}}, {"replica": "aws"}], ids=str
)
def test_a_catalogue_is_not_written_by_another_configuration_than_it_was_made_with(
    world: World, changed: Mapping[str, Any]
) -> None:
    bundle = world.put(GOOD)
    assert not world.catalogue.differs
    with with_catalogues(world.dss, replace(world.setting, **changed)) as dss:
        other = Shelf(dss, world.name).catalogue
        assert set(other.differs) == set(changed)

        for refused in (
            lambda: Indexer(dss).index_into([other], fqid_of(bundle)),
            lambda: dss.catalogues.forget(other, [fqid_of(bundle)]),
        ):
            with pytest.raises(MadeOtherwise, match="can't be changed; undo that"):
                refused()

        health = Health(dss).check(["other_lambdas"])["other_lambdas"]
        assert isinstance(health, dict) and "can't be changed" in str(health["indexer"])
    world.index(bundle)
    assert world.states() == {str(bundle): INDEXED}


def test_a_catalogue_is_not_written_by_other_rules(world: World) -> None:
    assert not world.catalogue.differs
    with (
        mock.patch("shared.explore.plugins.RULES", "2"),
        with_catalogues(world.dss, replace(world.setting, prefix="")) as dss,
    ):
        assert Shelf(dss, world.name).catalogue.differs == ("rules",)


def test_events_beyond_those_that_are_looked_at_count_as_waiting(world: World) -> None:
    bundles = [world.put(OTHER) for _ in range(3)]
    world.index(*bundles)
    upkeep = world.dss.catalogues.upkeep
    upkeep.advance(world.catalogue, bundles[0].version)

    with (
        mock.patch("shared.maintenance.catalogue_backlog._MOST", 1),
        mock.patch("shared.maintenance.catalogue_backlog._BATCH", 1),
    ):
        first = backlog_of(world.dss, world.catalogue)
        list(catch_up(world.dss, older_than=timedelta(0)))
        second = backlog_of(world.dss, world.catalogue)

    assert (first.objects, second.objects) == (2, 1)
    assert min(first.oldest_seconds, second.oldest_seconds) > 0


def test_a_message_that_is_given_up_is_listed_as_failed_unless_it_only_waits(world: World) -> None:
    bundle = world.put(GOOD)
    change = BundleChange(replica="gcp", uuid=bundle.uuid, version=bundle.version)
    body = {"message": {"attributes": change.attributes}, "subscription": BUNDLE_CHANGES}
    message, published = Message.parse(body), Published()
    handler = Indexing(replace(world.dss, publisher=published))

    handler.give_up(message, "later", NotYetThere("later"))
    assert world.states() == {} and published.messages == []
    handler.give_up(message, "the function was killed", None)
    assert world.held()[str(bundle)].reason == "the function was killed"
    # Perhaps it was never tried.
    [_] = catch_up(replace(world.dss, publisher=published), older_than=timedelta(hours=1))
    assert published.messages == [(BUNDLE_CHANGES, change.attributes)]
    handler.process(message)
    assert world.states() == {str(bundle): INDEXED}
    # What was indexed stays.
    handler.give_up(message, "the function was killed", None)
    assert world.states() == {str(bundle): INDEXED}
    handler.give_up(message, "the metadata are wrong", ValueError("x"))
    assert world.states() == {str(bundle): FAILED}


def test_a_change_that_is_given_up_is_never_lost(world: World) -> None:
    bundle = world.put(GOOD)
    world.index(bundle)
    held = world.held()[str(bundle)]
    change = BundleChange(replica="gcp", uuid=bundle.uuid, version=bundle.version)
    body = {"message": {"attributes": change.attributes}, "subscription": BUNDLE_CHANGES}
    message, published = Message.parse(body), Published()
    handler = Indexing(replace(world.dss, publisher=published))
    lab = frozenset(("g:lab",))
    other = BundleState(fqid=fqid_of(bundle), state=INDEXED, labels=lab, said=Said.of([]))

    handler.give_up(message, "the database is away", Unavailable("the database is away"))
    assert published.messages == [(BUNDLE_CHANGES, change.attributes)]
    with mock.patch.object(world.dss.catalogues, "put", side_effect=Unavailable("away")):
        handler.give_up(message, "the metadata are wrong", ValueError("x"))
    assert len(published.messages) == 2
    # It was not tried, and is indexed for others than its readers of now; or its document is lost.
    for lost in (False, True):
        world.dss.catalogues.put(world.catalogue, other)
        if lost:
            read = mock.Mock(side_effect=NotYetThere("no document"))
            with pytest.raises(NotYetThere):
                Indexer(world.dss, read).index("gcp", fqid_of(bundle))
        else:
            handler.give_up(message, "the function was killed", None)
        now = world.held()[str(bundle)]
        assert (now.state, now.labels, now.release) == (FAILED, held.labels, "")


def test_a_deindexing_removes_what_has_a_prefix(world: World) -> None:
    first, second = world.put(GOOD), world.put(GOOD)
    world.index(first, second)

    [done] = deindex(world.dss, world.catalogue, prefix=first.uuid)

    assert (done.fqid, done.done) == (fqid_of(first), "forgotten")
    assert world.states() == {str(second): INDEXED}
    assert world.found() == {("lost", str(first))}


@pytest.fixture
def pair(system: Dss) -> Iterator[Dss]:
    """A system with two catalogues, of which nobody has made one the default before."""
    first = new_setting()
    with with_catalogues(system, first, replace(first, name=f"{first.name}-2")) as dss:
        yield dss


def test_the_default_is_switched_in_one_step_and_an_old_catalogue_is_removed(
    pair: Dss, api: Api, admin: Api, clouds: Clouds
) -> None:
    first, second = pair.settings.catalogues
    world = World(pair, first.name, api, admin, clouds)
    bundle = world.put(GOOD)
    world.index(bundle)
    assert next(iter(pair.catalogues.catalogues())) == first.name

    pair.catalogues.upkeep.make_default(second.name)

    with with_catalogues(pair, first, second) as other_process:
        assert list(other_process.catalogues.catalogues()) == [second.name, first.name]
    with pytest.raises(NotFound):
        pair.catalogues.upkeep.make_default("nobody")
    assert next(iter(pair.catalogues.catalogues())) == second.name
    assert sum(pair.catalogues.upkeep.remove(world.catalogue.number)) > 5
    known = {one.name: one for one in pair.catalogues.upkeep.stored()}
    assert first.name not in known and known[second.name].is_default
    # The other one is as it was.
    assert Shelf(pair, second.name).states() == {str(bundle): INDEXED}


def test_catalogues_are_chosen_by_name_replica_and_source(pair: Dss) -> None:
    first, second = (each.name for each in pair.settings.catalogues)

    def names(**which: Any) -> list[str]:
        return [each.name for each in chosen(pair, **which)]

    everything = names()
    assert set(everything) == {first, second}
    assert names(replicas=["gcp"]) == names(sources=["https://dss.example.org/v1:/*"]) == everything
    assert names(names=[second]) == [second]
    for wrong in ({"names": ["x"]}, {"replicas": ["aws"]}, {"sources": ["https://other:/"]}):
        with pytest.raises(IllegalArguments):
            names(**wrong)
