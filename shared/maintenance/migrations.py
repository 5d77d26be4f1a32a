"""Migrations of the catalog, from one version of its schema to the next (shared/catalog/schema.py).

A migration begins by telling all processes its version: older releases begin no writes from then on, within
five seconds, so that none writes the old form behind it. (What they had begun before goes on: so a migration
comes half an hour after the deployment, when no step of an older release is left.) The release that has the
migration reads both forms, and writes the new one. A kill in between leaves a catalog that it serves, and
that `migrate` goes on with.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import IllegalArguments
from shared.kinds import KINDS
from shared.switches import outdated
from shared.system import Dss

# Seconds after which every process knows a new version (shared/switches.py).
_KNOWN_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step, to version `number`. Both functions read the catalog lazily, and are safe to repeat.

    `pending` counts the documents that still have the old form; `apply` gives them the new one, and yields
    after each how many that were.
    """

    number: int
    summary: str
    pending: Callable[[Dss], int]
    apply: Callable[[Dss], Iterator[int]]


def _none(_: Dss) -> int:
    return 0


def _nothing(_: Dss) -> Iterator[int]:
    return iter(())


def _unqueued(dss: Dss) -> Iterator[Any]:
    return (head for kind in KINDS.values() for head in dss.catalog.backlog.outside(kind))


def _enqueue(dss: Dss) -> Iterator[int]:
    for head in _unqueued(dss):
        dss.catalog.backlog.enqueue(head)
        yield 1


# In order, one for each version.
MIGRATIONS: Sequence[Migration] = (
    Migration(
        number=1,
        summary="record the version; documents stay as they are",
        pending=_none,
        apply=_nothing,
    ),
    # Until it is done, sweeps do not find the heads that releases before have left: their events may be lost.
    Migration(
        number=2,
        summary="put heads that replicas lack, or have not published, into queues of shards",
        pending=lambda dss: sum(1 for _ in _unqueued(dss)),
        apply=_enqueue,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A migration that is to be done, under way, or done, and how many documents it is about."""

    number: int
    summary: str
    documents: int
    done: bool


def pending(dss: Dss, migrations: Sequence[Migration] = MIGRATIONS) -> list[Step]:
    """Return what is left to do, and change nothing. Raises IllegalArguments if the catalog is newer."""
    return [
        Step(number=one.number, summary=one.summary, documents=one.pending(dss), done=False)
        for one in _left(dss, migrations)
    ]


def migrate(dss: Dss, migrations: Sequence[Migration] = MIGRATIONS) -> Iterator[Step]:
    """Migrate the catalog to the schema of this release; yield the steps as they go on.

    Raises IllegalArguments if the catalog is newer.
    """
    for one in _left(dss, migrations):
        dss.catalog.switches.set_schema(one.number)
        # Nobody begins to write the old form after this.
        dss.clock.sleep(_KNOWN_SECONDS)
        documents = 0
        for count in one.apply(dss):
            documents += count
            yield Step(number=one.number, summary=one.summary, documents=documents, done=False)
        dss.catalog.switches.set_migrated(one.number)
        yield Step(number=one.number, summary=one.summary, documents=documents, done=True)


def _left(dss: Dss, migrations: Sequence[Migration]) -> list[Migration]:
    known = dss.catalog.switches.get()
    if known.schema > migrations[-1].number:
        raise IllegalArguments(outdated(known) or f"the catalog has schema {known.schema}")
    return [one for one in migrations if one.number > known.migrated]
