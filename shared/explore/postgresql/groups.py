"""Callers that write at the same time share a transaction.

What all of their bundles change, as the project that they are of, is then read and written once, and they do
not wait for each other's locks.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.deadlines import limited
from shared.errors import Unavailable
from shared.explore.base import BundleState
from shared.explore.catalogues import Catalogue

# Transactions at once: while PostgreSQL works for one, this process prepares another.
MOST_AT_ONCE = 2
# Of one transaction. Larger bundles are written alone, so that nobody waits for them in it.
MOST_BUNDLES, MOST_ENTITIES = 16, 400
# Seconds. Longer than a statement takes.
_LONGEST_SECONDS = 30

Write = Callable[[Catalogue, Sequence[BundleState]], list[bool]]


@dataclass(eq=False)
class _Waiting:
    """A bundle version that is to be written: by the thread that wants it, or another one with its own."""

    catalogue: Catalogue
    state: BundleState
    alone: bool = False
    is_taken: bool = False
    is_done: bool = False
    changed: bool = False
    error: Exception | None = None

    @property
    def entities(self) -> int:
        """How many entities it says something of."""
        return len(self.state.said.keys) if self.state.said else 0


class Groups:
    """Writes bundle versions by `write`, those that come meanwhile together.

    `write` writes several bundles' versions or, if it raises anything, none of them.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._at_once = 0

    def put(self, catalogue: Catalogue, state: BundleState) -> bool:
        """Write a bundle version; return whether anything changed, or raise what `write` raises of it alone.

        Raises Unavailable if its turn does not come within the deadline of the request.
        """
        own = _Waiting(catalogue, state)
        with self._changed:
            self._waiting.append(own)
        while not own.is_done:
            if group := self._next(own):
                self._do(group)
        if own.error:
            raise own.error
        return own.changed

    def _next(self, own: _Waiting) -> list[_Waiting]:
        """Return what the caller is to write, or nothing once its own is written by another thread."""
        with self._changed:
            while not own.is_done and (own.is_taken or self._at_once >= MOST_AT_ONCE):
                try:
                    if not self._changed.wait(limited(_LONGEST_SECONDS)) and not own.is_taken:
                        raise Unavailable("the catalogue is busy; try again")
                except Unavailable:
                    if own.is_taken:
                        # Another thread ends it, within the limits of its statements.
                        self._changed.wait(_LONGEST_SECONDS)
                        continue
                    self._waiting.remove(own)
                    raise
            if own.is_done:
                return []
            group = [own]
            entities = own.entities
            for each in self._waiting:
                if self._belongs(each, group) and entities + each.entities <= MOST_ENTITIES:
                    group.append(each)
                    entities += each.entities
            for each in group:
                each.is_taken = True
                self._waiting.remove(each)
            self._at_once += 1
            return group

    @staticmethod
    def _belongs(each: _Waiting, group: Sequence[_Waiting]) -> bool:
        """Return whether one may be written with others: each version of a bundle is written by itself."""
        own = group[0]
        return (
            len(group) < MOST_BUNDLES
            and not (each.alone or own.alone)
            and each.catalogue.number == own.catalogue.number
            and all(each.state.fqid.uuid != other.state.fqid.uuid for other in group)
        )

    def _do(self, group: Sequence[_Waiting]) -> None:
        error: Exception | None = None
        changed = [False] * len(group)
        try:
            changed = self._write(group[0].catalogue, [each.state for each in group])
        except Exception as failure:  # noqa: BLE001 # each caller gets it
            error = failure
        finally:
            again = len(group) > 1 and error is not None and not isinstance(error, Unavailable)
            with self._changed:
                self._at_once -= 1
                for each, has_changed in zip(group, changed, strict=True):
                    if again:
                        # One of them has failed, and the others must not: each caller writes its own.
                        each.is_taken, each.alone = False, True
                        self._waiting.append(each)
                    else:
                        each.is_done, each.changed, each.error = True, has_changed, error
                self._changed.notify_all()
