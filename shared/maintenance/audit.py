"""The audit: compare what the catalog says is in each bucket with what the bucket holds.

Both are read once, in the same order, so that memory does not grow with them. A difference is a suspicion,
and is checked again: the catalog first, then the object. If both checks agree it is a finding. What has
changed in between, or was written a short while ago, is counted as unsettled. So a write in progress is never
a finding: an object is there before the catalog says so, and is not removed afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from shared.copying.uploads import abandoned, name_of
from shared.errors import ObjectNotFound
from shared.identifiers import CATALOGUE_MANIFESTS, SAVED_SUBSCRIPTIONS, parse_document_key, parse_key
from shared.kinds import find_kind
from shared.maintenance.expected import Expected, ExpectedBlob, ExpectedDocument
from shared.maintenance.merge import by_key, side_by_side
from shared.maintenance.sections import Section, sections
from shared.maintenance.spans import Span
from shared.manifests import digest
from shared.parallel import map_in_threads
from shared.purges.removal import REMOVED_KINDS
from shared.replicas import Replica
from shared.retry import retry
from shared.stores.base import StoredObject
from shared.system import Dss

# Suspicions that are checked at once.
_THREADS = 16
# Sorts after every key that begins with a prefix, and every store's listing takes it.
_LAST = "\U0010fffd"


class Problem(StrEnum):
    """What can be wrong with an object."""

    LOST = "lost"
    DARK = "dark"
    CORRUPT = "corrupt"
    UNPROVEN = "unproven"
    BROKEN = "broken"
    ABANDONED = "abandoned"


# The first check may find an object unproven and the second one find it corrupt: some stores say more about
# a single object than in a listing.
_ABOUT_CONTENT = {Problem.CORRUPT, Problem.UNPROVEN}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An object that is wrong on a replica, and `why` the audit says so."""

    kind: Problem
    section: str
    replica: str
    key: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong with one object at one moment, and when the object was written, if it exists."""

    kind: Problem
    why: str
    written: datetime | None = None


@dataclass
class Tally:
    """What an audit has seen so far: for each replica objects, unsettled ones, and findings by kind."""

    objects: Counter[str] = field(default_factory=Counter)
    unsettled: Counter[str] = field(default_factory=Counter)
    findings: Counter[tuple[str, Problem]] = field(default_factory=Counter)
    # Objects that the catalog knows, on any replica.
    known: int = 0


@dataclass(frozen=True)
class Position:
    """How far an audit has come: the stages before this one are done, and this one up to a key."""

    stage: str
    after: str = ""


def audit(
    dss: Dss, replicas: Sequence[Replica], *, settled_after: timedelta, tally: Tally
) -> Iterator[Finding]:
    """Yield findings as they are made, and keep the tally. Changes nothing.

    Costs two reads of the catalog for every file version, one for every bundle version, each 500 of its files
    and every tombstone, and a listing of each bucket (of `bundles/` twice). A suspicion costs another read
    and one or two requests.
    """
    return Audit(dss, replicas, settled_after=settled_after, tally=tally).findings()


def stages(replicas: Sequence[str]) -> dict[str, bool]:
    """Return the stages of an audit of some replicas, in order: whether it can be split by key range."""
    whole = [f"{stage} {name}" for stage in ("uploads", "elsewhere") for name in replicas]
    return {**dict.fromkeys(sections(), True), **dict.fromkeys(whole, False)}


def check_object(dss: Dss, section: Section, replica: Replica, key: str) -> Verdict | None:
    """Return what is wrong with one object at this moment; None if nothing is.

    Asks the catalog first, and then the store: in the other order a new object would seem to be lost.
    """
    expected = section.lookup(dss, key)
    try:
        found = replica.store.stat(replica.bucket, key)
    except ObjectNotFound:
        return _verdict(section, replica, expected, None)
    verdict = _verdict(section, replica, expected, found)
    if verdict and verdict.kind is Problem.DARK:
        return _unless_purged(dss, key, verdict)
    if verdict and verdict.kind in _ABOUT_CONTENT and isinstance(expected, ExpectedDocument):
        # It is small: its content decides.
        content = replica.store.read_all(replica.bucket, key) if found.size == expected.size else b""
        if digest(content) == expected.sha256:
            return None
        return replace(verdict, kind=Problem.CORRUPT)
    return verdict


def _unless_purged(dss: Dss, key: str, verdict: Verdict) -> Verdict | None:
    """Return the verdict on a dark object; None if it waits for its removal for good."""
    name = parse_key(key) or parse_document_key(key)
    if name is None or name.kind not in REMOVED_KINDS:
        return verdict
    current = dss.catalog.bindings.current(name.uuid)
    if current is None or not current.purged(name.version):
        return verdict
    return replace(verdict, why="it was removed for good") if current.removed(name.version) else None


def _verdict(
    section: Section, replica: Replica, expected: Expected | None, found: StoredObject | None
) -> Verdict | None:
    """Return how the catalog and the store differ on one key; None if they agree."""
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
    known = name is not None and find_kind(name) is not None
    return "the catalog does not know it" if known else "the system gives no such name"


class Audit:
    """An audit that can stop and go on later, in this process or another one.

    `position` is where to go on; None when the audit is complete. With a `span` it is an audit of the
    position's stage alone, and of the keys of that stage that are in the span.
    """

    def __init__(
        self,
        dss: Dss,
        replicas: Sequence[Replica],
        *,
        settled_after: timedelta,
        tally: Tally,
        position: Position | None = None,
        span: Span | None = None,
    ) -> None:
        self._dss = dss
        self._replicas = {replica.name: replica for replica in replicas}
        self._settled_before = dss.clock.now() - settled_after
        self._tally = tally
        self._sections = sections()
        # Each yields findings after a key, until `_stops` says so.
        self._stages: dict[str, Callable[[str], Iterator[Finding]]] = {
            **{name: partial(self._section, section) for name, section in self._sections.items()},
            **{f"uploads {replica.name}": partial(self._uploads, replica) for replica in replicas},
            **{f"elsewhere {replica.name}": partial(self._elsewhere, replica) for replica in replicas},
        }
        self.position: Position | None = position or Position(next(iter(self._stages)))
        self._span = span
        self._enough: Callable[[], bool] = lambda: False
        self._stopped = False

    def findings(self, enough: Callable[[], bool] = lambda: False) -> Iterator[Finding]:
        """Yield findings from the position on, until the audit is complete or `enough` returns True.

        `enough` is called once for each object or key. Read the position after this has ended, not before:
        suspicions are checked some ahead of the findings that were yielded.
        """
        self._enough, self._stopped = enough, False
        while self.position and not self._stopped:
            stage = self.position.stage
            yield from self._stages[stage](self.position.after)
            if not self._stopped:
                following = () if self._span else list(self._stages)[list(self._stages).index(stage) + 1 :]
                self.position = Position(following[0]) if following else None

    def _stops(self, key: str) -> bool:
        """Move the position to a key of this stage, and return whether that is enough."""
        assert self.position
        self.position = Position(self.position.stage, key)
        self._stopped = self._enough()
        return self._stopped

    def _section(self, section: Section, after: str) -> Iterator[Finding]:
        """Yield the findings of one section in all buckets."""
        suspicions = self._suspicions(section, after)
        for replica, finding in map_in_threads(partial(self._checked, section), suspicions, threads=_THREADS):
            if isinstance(finding, Finding):
                yield self._counted(finding)
            elif finding:
                self._tally.unsettled[replica] += 1

    def _counted(self, finding: Finding) -> Finding:
        self._tally.findings[finding.replica, finding.kind] += 1
        return finding

    def _suspicions(self, section: Section, after: str) -> Iterator[Finding]:
        """Yield what differs at the first check, in order of key."""
        keys = (self._span or Span()).keys(section.prefix)
        after = max(after, keys.after)
        listings = {
            name: by_key(_listing(section, replica, after, keys.until), lambda found: found.key)
            for name, replica in self._replicas.items()
        }
        expected_here = section.expected(self._dss, after=after, until=keys.until)
        known = by_key(expected_here, lambda expected: expected.key)
        for key, expected, found in side_by_side(known, listings):
            self._tally.known += expected is not None
            for name, replica in self._replicas.items():
                self._tally.objects[name] += name in found
                verdict = _verdict(section, replica, expected, found.get(name))
                if verdict:
                    yield Finding(
                        kind=verdict.kind, section=section.name, replica=name, key=key, why=verdict.why
                    )
            if self._stops(key):
                return

    def _checked(self, section: Section, suspicion: Finding) -> tuple[str, Finding | bool]:
        """Return the replica, and the second check's finding; True if it is unsettled, False if right."""
        replica = self._replicas[suspicion.replica]
        verdict = retry(self._dss.clock, lambda: check_object(self._dss, section, replica, suspicion.key))
        if verdict is None:
            return replica.name, suspicion.kind not in _ABOUT_CONTENT
        same = verdict.kind is suspicion.kind or {verdict.kind, suspicion.kind} <= _ABOUT_CONTENT
        if not same or self._is_recent(verdict.written):
            return replica.name, True
        return replica.name, replace(suspicion, kind=verdict.kind, why=verdict.why)

    def _is_recent(self, written: datetime | None) -> bool:
        return written is not None and written > self._settled_before

    def _uploads(self, replica: Replica, _: str) -> Iterator[Finding]:
        """Yield abandoned uploads, all at once: they are few."""
        for upload in abandoned(self._dss, replica):
            why = f"nobody works on it, and nobody has since {upload.touched:%Y-%m-%d %H:%M} UTC"
            key = name_of(replica, upload)
            yield self._counted(
                Finding(kind=Problem.ABANDONED, section="uploads", replica=replica.name, key=key, why=why)
            )

    def _elsewhere(self, replica: Replica, after: str) -> Iterator[Finding]:
        """Yield the objects that are in no section of the bucket."""
        known = {section.prefix for section in self._sections.values()} | {replica.store.parts_prefix} - {""}
        # Each is made anew with the next change, and the keys that encrypt it prove it.
        known |= {SAVED_SUBSCRIPTIONS}
        if replica.name == self._dss.replicas.primary.name:
            # The bucket's life cycle removes these.
            known |= {CATALOGUE_MANIFESTS}
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
            if self._stops(found.key):
                return


def _listing(section: Section, replica: Replica, after: str, until: str) -> Iterator[StoredObject]:
    for found in replica.store.list(replica.bucket, section.prefix, after=after):
        if until and found.key > until:
            return
        if section.has(found.key):
            yield found


def _outside(replica: Replica, prefixes: set[str], after: str) -> Iterator[StoredObject]:
    """Yield the objects after a key whose keys begin with none of the prefixes; listings skip the others."""
    while True:
        for found in replica.store.list(replica.bucket, "", after=after):
            inside = next((prefix for prefix in prefixes if found.key.startswith(prefix)), None)
            if inside:
                after = inside + _LAST
                break
            yield found
        else:
            return
