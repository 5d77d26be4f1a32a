"""The protocol by which operators and the sweep look after catalogues."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.explore.catalogues import Catalogue
from shared.identifiers import Fqid


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a catalogue holds of a bundle version: see `shared.explore.base.BundleState`.

    `digest` is that of what the version says (`Said.digest`), empty if it says nothing. It was last
    changed at `changed`.
    """

    fqid: Fqid
    state: str
    labels: frozenset[str]
    release: str
    reason: str
    digest: str
    changed: datetime


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How many events a catalogue has not followed yet, and how old the oldest was; `at` the moment `at`."""

    events: int
    oldest_seconds: float
    at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredCatalogue:
    """A catalogue that the database has, configured or not; `waiting` is None before the first sweep."""

    number: int
    name: str
    is_default: bool
    waiting: Waiting | None


class CatalogueUpkeep(Protocol):
    """Looks after catalogues. All methods raise Unavailable."""

    def stored(self) -> Sequence[StoredCatalogue]:
        """Return the catalogues that the database has, in the order in which they were made."""
        ...

    def make_default(self, name: str) -> None:
        """Have all processes ask a catalogue if the caller names none, from this moment on.

        Raises NotFound if the database has no such catalogue.
        """
        ...

    def counts(self, catalogue: Catalogue) -> Mapping[tuple[str, str], int]:
        """Return how many bundle versions there are by state and release of the plug-in."""
        ...

    def held(
        self,
        catalogue: Catalogue,
        *,
        after: Fqid | None = None,
        prefix: str = "",
        only_failed: bool = False,
    ) -> Iterator[Held]:
        """Yield what a catalogue holds, or what has failed, in order of FQID: after one, of UUIDs with a
        prefix."""
        ...

    def held_of(self, catalogue: Catalogue, fqids: Sequence[Fqid]) -> Mapping[Fqid, Held]:
        """Return what a catalogue holds of some bundle versions; nothing of those that it does not know."""
        ...

    def failed_before(
        self, catalogue: Catalogue, release: str, count: int, *, tried_before: datetime
    ) -> Sequence[Fqid]:
        """Return up to `count` bundle versions that have failed in another release of the plug-in, and were
        not tried again since `tried_before`; those first that have waited longest."""
        ...

    def try_again(
        self, catalogue: Catalogue, fqids: Sequence[Fqid], *, now: datetime, tried_before: datetime
    ) -> Sequence[Fqid]:
        """Return those of some bundle versions that were not tried again since `tried_before`.

        Notes that they are tried again now; those that the catalogue does not know are left out.
        """
        ...

    def compared(self, catalogue: Catalogue) -> Fqid | None:
        """Return the bundle version up to which the sweep has compared a catalogue; None at the beginning."""
        ...

    def note_compared(self, catalogue: Catalogue, fqid: Fqid | None) -> None:
        """Keep up to where the sweep has compared a catalogue."""
        ...

    def position(self, catalogue: Catalogue) -> str:
        """Return the time of an event before which the catalogue has followed all; empty at first."""
        ...

    def advance(self, catalogue: Catalogue, position: str) -> None:
        """Note a later time of an event before which the catalogue has followed all."""
        ...

    def measured(self, catalogue: Catalogue) -> datetime | None:
        """Return when the catalogue's backlog was measured last; None before the first time."""
        ...

    def note(self, catalogue: Catalogue, waiting: Waiting) -> None:
        """Keep what was measured, for those who ask for it without measuring."""
        ...

    def remove(self, number: int) -> Iterator[int]:
        """Remove a catalogue with all that it holds; yield how many rows were removed, as they are.

        It is not the default one, and nobody writes to it. Safe to repeat after a kill.
        """
        ...

    def remove_unused(self) -> int:
        """Remove values that nothing in any catalogue has any more; return about how many.

        Bounded: call it again and again. Writers wait for it for seconds at most.
        """
        ...
