"""Look at named objects, repair and replicate them, without a look at the whole store.

The checks and repairs are those of the audit (shared/maintenance/audit.py, repair.py), of one key at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from shared.catalog import BundleHead, FileRecord
from shared.errors import DssError, IllegalArguments, ObjectNotFound
from shared.identifiers import Fqid, Kind, ObjectName, manifest_key, parse_key
from shared.kinds import KINDS, find_kind
from shared.maintenance.audit import Finding, Problem, check_object
from shared.maintenance.repair import Repair, prospect, repair
from shared.maintenance.sections import Section, sections
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import retry
from shared.system import Dss

# Objects that are looked at, or repaired, at once.
_THREADS = 16
# Repairs may move bytes through this process: a copy to S3 holds a part of 64 MiB in memory.
_REPAIRS_AT_ONCE = 4
# Files of a bundle that are read from the catalog at once.
_FILES = 500
# Each of their objects belongs to one replica alone.
_OF_ONE_REPLICA = ("events", "journals")


class State(StrEnum):
    """What an object can be on a replica besides a problem of the audit."""

    RIGHT = "right"
    # Another replica has it, and this one not yet.
    MISSING = "missing"
    # Neither the catalog nor the bucket has it.
    UNKNOWN = "unknown"
    # The store or the catalog does not answer.
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Look:
    """The state of an object on a replica at one moment, and why it is so; no reason if it is right."""

    key: str
    section: str
    replica: str
    state: State | Problem
    why: str = ""

    @property
    def is_right(self) -> bool:
        """Whether nothing is to be done."""
        return self.state is State.RIGHT

    @property
    def finding(self) -> Finding | None:
        """The finding that an audit makes of it; None if it is no problem of the audit."""
        if not isinstance(self.state, Problem):
            return None
        return Finding(
            kind=self.state, section=self.section, replica=self.replica, key=self.key, why=self.why
        )


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The outcome for a key: its event was published from `source`; or it was not, and `why` says so."""

    key: str
    source: str = ""
    why: str = ""


def expand(dss: Dss, keys: Iterable[str], *, with_files: bool) -> Iterator[str]:
    """Yield keys, lazily, each after all that it rests on, as far as the catalog knows that.

    The blob of a file comes before its manifest; `with_files` adds the files of bundles. Raises
    IllegalArguments for a key of no section.
    """
    for key in keys:
        _section(key)
        name = parse_key(key)
        kind = find_kind(name) if name else None
        record = kind.lookup(dss, name) if kind and name else None
        if with_files and isinstance(record, BundleHead):
            for start in range(0, record.file_count, _FILES):
                for file in dss.catalog.bundles.files(record, start, _FILES):
                    yield file.checksums.blob_key
                    yield manifest_key(Kind.FILE, Fqid(file.uuid, file.version))
        if isinstance(record, FileRecord):
            yield record.checksums.blob_key
        yield key


def look_at(dss: Dss, keys: Iterable[str], replicas: Iterable[Replica]) -> Iterator[Look]:
    """Yield what each object is on each replica, in order. Changes nothing.

    Costs a few reads of the catalog and one or two requests for each key and replica. Raises IllegalArguments
    for a key of no section.
    """
    wanted = list(replicas)
    pairs = ((key, _section(key), replica) for key in keys for replica in wanted)
    for look in map_in_threads(lambda pair: _look(dss, *pair), pairs, threads=_THREADS):
        if look:
            yield look


def repair_looks(dss: Dss, looks: Iterable[Look], *, dry_run: bool) -> Iterator[tuple[Look, Repair | None]]:
    """Repair what is a problem of the audit; yield each look with the outcome, None if there was no problem.

    With `dry_run` the outcome says only whether a repair would leave it.
    """

    def outcome(look: Look) -> tuple[Look, Repair | None]:
        finding = look.finding
        if finding is None:
            return look, None
        return look, prospect(finding) if dry_run else repair(dss, finding)

    yield from map_in_threads(outcome, looks, threads=_REPAIRS_AT_ONCE)


def publish_missing(dss: Dss, keys: Iterable[str], *, dry_run: bool) -> Iterator[Sent]:
    """Publish the events of objects that a replica lacks, so that it gains them; yield outcomes in order.

    Blobs, documents and journals have none: they come with their files and bundles.
    """
    yield from map_in_threads(partial(_publish, dss, dry_run=dry_run), keys, threads=_THREADS)


def source_of(dss: Dss, name: ObjectName, available: frozenset[str]) -> Replica | None:
    """Return a replica that has an object: by the catalog, else by its bucket; None if none has it."""
    if holders := dss.replicas.among(available):
        return holders[0]
    for replica in dss.replicas:
        try:
            replica.store.stat(replica.bucket, name.key)
        except ObjectNotFound:
            continue
        return replica
    return None


def _section(key: str) -> Section:
    for section in sections().values():
        if key.startswith(section.prefix) and section.has(key):
            return section
    known = ", ".join(sorted({section.prefix for section in sections().values()}))
    raise IllegalArguments(f"{key[:120]!r} is no key of an object: it must begin with one of {known}")


def _look(dss: Dss, key: str, section: Section, replica: Replica) -> Look | None:
    """Return what an object is on a replica; None if it belongs to another one."""
    seen = partial(Look, key=key, section=section.name, replica=replica.name)
    try:
        if verdict := retry(dss.clock, lambda: check_object(dss, section, replica, key)):
            return seen(state=verdict.kind, why=verdict.why)
        expected = section.lookup(dss, key)
    except DssError as error:
        return seen(state=State.FAILED, why=error.title)
    if expected is None:
        return seen(state=State.UNKNOWN, why="neither the catalog nor the bucket has it")
    if replica.name in expected.available:
        return seen(state=State.RIGHT)
    if section.name in _OF_ONE_REPLICA:
        return None
    holders = ", ".join(sorted(expected.available))
    return seen(state=State.MISSING, why=f"it is on {holders}" if holders else "no replica has it yet")


def _publish(dss: Dss, key: str, *, dry_run: bool) -> Sent:
    name = parse_key(key)
    if name is None or find_kind(name) is None:
        return Sent(key=key, why="it comes with its file or bundle")
    available = dss.catalog.backlog.available(KINDS.values(), {name}).get(name, frozenset())
    if available.issuperset(dss.replicas.names):
        return Sent(key=key, why="all replicas have it")
    source = retry(dss.clock, lambda: source_of(dss, name, available))
    if source is None:
        return Sent(key=key, why="no replica has it")
    if not dry_run:
        event = ObjectEvent(replica=source.name, bucket=source.bucket, key=key)
        retry(dss.clock, lambda: dss.publisher.publish(OBJECT_EVENTS, event.attributes))
    return Sent(key=key, source=source.name)
