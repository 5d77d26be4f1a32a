"""Records of purges: make one, and put it into effect.

A record is an immutable object like a manifest, `purges/{uuid}.{time}`, and the newest about a version, or
about all versions of a UUID, counts. So records are replicated, audited and rebuilt as all other objects are,
and stay when what they name is gone. From the moment a record is in effect no read sees what it names.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.catalog import Purge
from shared.clock import new_version, next_version
from shared.errors import Conflict
from shared.identifiers import Fqid, Kind, manifest_key, moment_of, version_of
from shared.manifests import encode, write_once
from shared.purges.scrubbing import scrub
from shared.system import Dss


def new_purge(dss: Dss, uuid: str, version: str, *, reason: str, by: str) -> Purge:
    """Return a new record, due after DSS_PURGE_GRACE_HOURS. Nothing is written."""
    due = dss.clock.now() + timedelta(hours=dss.settings.purge_grace_hours)
    record = Fqid(uuid, _next_time(dss, uuid))
    return Purge(fqid=record, of=version, reason=reason, by=by, due=version_of(due))


def part(purge: Purge, number: int, file: Fqid) -> Purge:
    """Return the record of a file version that is purged with a bundle; the same each time for a number."""
    # Two versions of one file need two names.
    time = version_of(moment_of(purge.fqid.version) + timedelta(microseconds=number))
    return replace(purge, fqid=Fqid(file.uuid, time), of=file.version, part_of=str(purge.fqid))


def undo(dss: Dss, purge: Purge, by: str) -> bool:
    """End a purge; return False if it was ended before. Safe to repeat after a kill at any point.

    Raises Conflict if its grace period is over: its removal may have begun.
    """
    latest = newest(dss, purge)
    if latest.undone:
        if not latest.scrubbed:
            declare(dss, latest)
        return False
    if is_due(dss, latest):
        raise Conflict(f"{latest.subject}: its grace period ended at {latest.due}; it can't be undone")
    record = Fqid(latest.fqid.uuid, _next_time(dss, latest.fqid.uuid))
    declare(dss, replace(latest, fqid=record, by=by, undone=True, available=frozenset()))
    dss.catalog.purges.close(latest)
    return True


def _next_time(dss: Dss, uuid: str) -> str:
    known = dss.catalog.purges.of_uuid(uuid)
    return next_version(dss.clock, known[-1].fqid.version) if known else new_version(dss.clock)


def declare(dss: Dss, purge: Purge) -> None:
    """Make a record durable, and put it into effect: when this returns, no read sees what it names.

    Safe to repeat after a kill at any point.
    """
    dss.catalog.purges.create(purge)
    dss.faults.reach("purge: claimed")
    primary = dss.replicas.primary
    write_once(primary, manifest_key(Kind.PURGE, purge.fqid), encode(purge_document(purge)))
    dss.faults.reach("purge: object written")
    take_effect(dss, purge, primary.name)
    finish(dss, purge)


def take_effect(dss: Dss, purge: Purge, replica: str) -> None:
    """Put a record into effect that a replica has, unless a later one counts. Safe to repeat.

    Reads follow it. What is made of the content does so later: see `finish`, for which only operators' runs
    have the right.
    """
    if not purge.available:
        for bundle in () if purge.undone else dss.catalog.bindings.bundles_with_file(purge.fqid.uuid):
            # Before: who then asks for URLs of its files finds out which of them are purged.
            dss.catalog.bindings.expect_to_lack_files(bundle)
        dss.catalog.purges.put_into_effect(purge)
        dss.faults.reach("purge: withheld")
    dss.catalog.purges.make_available(purge.fqid, replica)
    dss.faults.reach("purge: available")


def finish(dss: Dss, purge: Purge) -> None:
    """Have all that is made of what a record in effect names follow it. Safe to repeat."""
    if newest(dss, purge) == purge:
        scrub(dss, purge)
    dss.catalog.purges.mark_scrubbed(purge)
    dss.faults.reach("purge: scrubbed")


def newest(dss: Dss, purge: Purge) -> Purge:
    """Return the newest record about what a record is about; itself if the catalog knows none."""
    return last_of(dss, purge.fqid.uuid, purge.of) or purge


def last_of(dss: Dss, uuid: str, version: str) -> Purge | None:
    """Return the last record about a version, or about a whole UUID if it is empty; None if there is none."""
    about = [purge for purge in dss.catalog.purges.of_uuid(uuid) if purge.of == version]
    return about[-1] if about else None


def is_due(dss: Dss, purge: Purge) -> bool:
    """Return whether the grace period of a purge is over."""
    return moment_of(purge.due) <= dss.clock.now()


def purge_document(purge: Purge) -> dict[str, Any]:
    """Return the content of a record's object."""
    return {
        "format": "0.0.1",
        **purge.content,
    }


def purge_of_document(fqid: Fqid, document: Mapping[str, Any]) -> Purge:
    """Return the record that an object's content describes."""
    moment_of(document["due"])
    return Purge(
        fqid=fqid,
        of=str(document["of"]),
        reason=str(document["reason"]),
        by=str(document["by"]),
        due=str(document["due"]),
        part_of=str(document["part_of"]),
        undone=bool(document["undone"]),
    )
