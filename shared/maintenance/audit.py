"""The audit: what the catalog says is in each bucket, and what is there, side by side.

Both are read once, in one order, so that memory does not grow with them. What differs is a suspicion, and
looked at again: the catalog first, then the object. Only what both looks agree on is a finding; whatever
moved in between, or was written a short while ago, is counted as unsettled, and not judged. So a write that
is under way is never a finding: an object is there before the catalog says so, and is not removed
afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from shared.copying.uploads import abandoned, name_of
from shared.errors import ObjectNotFound
from shared.identifiers import parse_key
from shared.maintenance.expectations import SECTIONS, Section
from shared.maintenance.expected import Expected, ExpectedBlob, ExpectedDocument
from shared.maintenance.merging import by_key, side_by_side
from shared.maintenance.remake import is_known
from shared.manifests import digest
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import retry
from shared.stores.base import StoredObject, read_all
from shared.system import Dss

# Suspicions that are looked into at once.
_THREADS = 16
# Behind every key that begins with a prefix, and fit for every store's listing.
_LAST = "\U0010fffd"


class Problem(StrEnum):
    """What may be wrong."""

    LOST = "lost"
    DARK = "dark"
    CORRUPT = "corrupt"
    UNPROVEN = "unproven"
    BROKEN = "broken"
    ABANDONED = "abandoned"


# One look may find an object contradicted where the other finds it unproven: some stores tell more of one
# object than in a listing.
_ABOUT_CONTENT = {Problem.CORRUPT, Problem.UNPROVEN}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong, and `why` that is said. `replica` is where it was seen."""

    kind: Problem
    section: str
    replica: str
    key: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong with one object at one moment, and when the object was written, if it is there."""

    kind: Problem
    why: str
    written: datetime | None = None


@dataclass
class Tally:
    """What an audit has come by so far, for each replica: objects, unsettled ones, findings of each kind."""

    objects: Counter[str] = field(default_factory=Counter)
    unsettled: Counter[str] = field(default_factory=Counter)
    findings: Counter[tuple[str, Problem]] = field(default_factory=Counter)
    # Objects that the catalog knows of, wherever they are.
    known: int = 0


@dataclass(frozen=True)
class Position:
    """How far an audit has come: all is done up to the stages before this one, and up to a key within it."""

    stage: str
    after: str = ""


def audit(
    dss: Dss, replicas: Sequence[Replica], *, settled_after: timedelta, tally: Tally
) -> Iterator[Finding]:
    """Yield what is wrong, as it is found, and keep the tally. Changes nothing.

    Costs a read of the catalog for every file version twice, for every bundle version, for each 500 of its
    files, and for every tombstone, and a listing of each bucket (that of `bundles/` twice); whatever is
    suspicious costs another read and request or two.
    """
    return Audit(dss, replicas, settled_after=settled_after, tally=tally).findings()


def look(dss: Dss, section: Section, replica: Replica, key: str) -> Verdict | None:
    """Return what is wrong with one object at this moment; None where nothing is.

    Looks at the catalog first, then at the object: never the other way round, as an object may appear.
    """
    expected = section.again(dss, key)
    try:
        found = replica.store.stat(replica.bucket, key)
    except ObjectNotFound:
        return _verdict(section, replica, expected, None)
    verdict = _verdict(section, replica, expected, found)
    if verdict and verdict.kind in _ABOUT_CONTENT and isinstance(expected, ExpectedDocument):
        # It is small, and its content settles the matter.
        content = read_all(replica.store, replica.bucket, key) if found.size == expected.size else b""
        if digest(content) == expected.sha256:
            return None
        return replace(verdict, kind=Problem.CORRUPT)
    return verdict


def _verdict(
    section: Section, replica: Replica, expected: Expected | None, found: StoredObject | None
) -> Verdict | None:
    """Return what is wrong, if anything, with what the catalog says and the store says of one key."""
    here = expected is not None and replica.name in expected.available
    if found is None:
        return Verdict(kind=Problem.LOST, why="the catalog says that it is here") if here else None
    if expected is None:
        return Verdict(kind=Problem.DARK, why=_why_dark(section, found.key), written=found.written)
    if not here:
        if isinstance(expected, ExpectedBlob) or (isinstance(expected, ExpectedDocument) and expected.early):
            return None
        why = "the catalog knows it, and does not know that it is here"
        return Verdict(kind=Problem.DARK, why=why, written=found.written)
    if expected.broken:
        return Verdict(kind=Problem.BROKEN, why=expected.broken, written=found.written)
    if why := expected.contradiction(found):
        return Verdict(kind=Problem.CORRUPT, why=why, written=found.written)
    if why := expected.doubt(found):
        return Verdict(kind=Problem.UNPROVEN, why=why, written=found.written)
    return None


def _why_dark(section: Section, key: str) -> str:
    if section.name == "blobs":
        return "no file version names it"
    name = parse_key(key)
    known = name is not None and is_known(name)
    return "the catalog does not know it" if known else "the system gives no such name"


class Audit:
    """An audit that can be left and gone on with, by this process or another one.

    `position` is where to go on; None when there is nothing left to do.
    """

    def __init__(
        self,
        dss: Dss,
        replicas: Sequence[Replica],
        *,
        settled_after: timedelta,
        tally: Tally,
        position: Position | None = None,
    ) -> None:
        self._dss = dss
        self._replicas = {replica.name: replica for replica in replicas}
        self._settled_before = dss.clock.now() - settled_after
        self._tally = tally
        # Each finds what is wrong behind a key, until `_leaves` says so.
        self._stages: dict[str, Callable[[str], Iterator[Finding]]] = {
            **{name: partial(self._section, section) for name, section in SECTIONS.items()},
            **{f"uploads {one.name}": partial(self._uploads, one) for one in replicas},
            **{f"elsewhere {one.name}": partial(self._elsewhere, one) for one in replicas},
        }
        self.position: Position | None = position or Position(next(iter(self._stages)))
        self._enough: Callable[[], bool] = lambda: False
        self._left = False

    def findings(self, enough: Callable[[], bool] = lambda: False) -> Iterator[Finding]:
        """Yield what is wrong from the position on, until there is no more or it is enough.

        `enough` is asked once for each object or key. The position is to be read when this has ended, not
        before: findings are looked into some ahead of those that were yielded.
        """
        self._enough, self._left = enough, False
        while self.position and not self._left:
            stage = self.position.stage
            yield from self._stages[stage](self.position.after)
            if not self._left:
                following = list(self._stages)[list(self._stages).index(stage) + 1 :]
                self.position = Position(following[0]) if following else None

    def _leaves(self, key: str) -> bool:
        """Note that all is seen up to a key of this stage; tell whether that is enough."""
        assert self.position
        self.position = Position(self.position.stage, key)
        self._left = self._enough()
        return self._left

    def _section(self, section: Section, after: str) -> Iterator[Finding]:
        """Yield what is wrong in one section of all buckets."""
        suspicions = self._suspicions(section, after)
        for replica, finding in map_in_threads(
            partial(self._looked_into, section), suspicions, threads=_THREADS
        ):
            if isinstance(finding, Finding):
                yield self._counted(finding)
            elif finding:
                self._tally.unsettled[replica] += 1

    def _counted(self, finding: Finding) -> Finding:
        self._tally.findings[finding.replica, finding.kind] += 1
        return finding

    def _suspicions(self, section: Section, after: str) -> Iterator[Finding]:
        """Yield what differs at the first look, in order of key."""
        listings = {
            name: by_key(_listing(section, replica, after), lambda found: found.key)
            for name, replica in self._replicas.items()
        }
        known = by_key(section.expected(self._dss, after=after), lambda expected: expected.key)
        for key, expected, found in side_by_side(known, listings):
            self._tally.known += expected is not None
            for name, replica in self._replicas.items():
                self._tally.objects[name] += name in found
                verdict = _verdict(section, replica, expected, found.get(name))
                if verdict:
                    yield Finding(
                        kind=verdict.kind, section=section.name, replica=name, key=key, why=verdict.why
                    )
            if self._leaves(key):
                return

    def _looked_into(self, section: Section, suspicion: Finding) -> tuple[str, Finding | bool]:
        """Return the replica, and what the second look finds; True where it is unsettled, False if right."""
        replica = self._replicas[suspicion.replica]
        verdict = retry(self._dss.clock, lambda: look(self._dss, section, replica, suspicion.key))
        if verdict is None:
            return replica.name, suspicion.kind not in _ABOUT_CONTENT
        same = verdict.kind is suspicion.kind or {verdict.kind, suspicion.kind} <= _ABOUT_CONTENT
        if not same or self._is_recent(verdict.written):
            return replica.name, True
        return replica.name, replace(suspicion, kind=verdict.kind, why=verdict.why)

    def _is_recent(self, written: datetime | None) -> bool:
        return written is not None and written > self._settled_before

    def _uploads(self, replica: Replica, _: str) -> Iterator[Finding]:
        """Yield the uploads that nobody will finish, all at once: they are few."""
        for upload in abandoned(self._dss, replica):
            why = f"nobody works on it, and nobody has since {upload.touched:%Y-%m-%d %H:%M} UTC"
            key = name_of(replica, upload)
            yield self._counted(
                Finding(kind=Problem.ABANDONED, section="uploads", replica=replica.name, key=key, why=why)
            )

    def _elsewhere(self, replica: Replica, after: str) -> Iterator[Finding]:
        """Yield the objects that are in no part of the bucket that the system knows."""
        known = {section.prefix for section in SECTIONS.values()} | {replica.store.parts_prefix} - {""}
        for found in _outside(replica, known, after):
            self._tally.objects[replica.name] += 1
            if self._is_recent(found.written):
                self._tally.unsettled[replica.name] += 1
            else:
                why = "the system puts nothing there"
                yield self._counted(
                    Finding(
                        kind=Problem.DARK, section="elsewhere", replica=replica.name, key=found.key, why=why
                    )
                )
            if self._leaves(found.key):
                return


def _listing(section: Section, replica: Replica, after: str) -> Iterator[StoredObject]:
    for found in replica.store.list(replica.bucket, section.prefix, after=after):
        if section.has(found.key):
            yield found


def _outside(replica: Replica, prefixes: set[str], after: str) -> Iterator[StoredObject]:
    """Yield the objects behind a key whose keys begin with no such prefix; what does is stepped over."""
    while True:
        for found in replica.store.list(replica.bucket, "", after=after):
            inside = next((prefix for prefix in prefixes if found.key.startswith(prefix)), None)
            if inside:
                after = inside + _LAST
                break
            yield found
        else:
            return
