"""Answers about many objects at once: those that were resolved, and the others by their status."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from run.api.audit_log import noted
from run.api.call import Call
from run.api.errors import status_of
from run.drs.contents import units_of
from run.drs.resolving import Hidden
from shared.access import Verdict
from shared.drs.limits import MOST_OBJECTS
from shared.drs.objects import DataObject, ObjectId
from shared.errors import DssError, Forbidden, Gone, RequestTooLarge, Unauthorized
from shared.identifiers import Fqid

# Signed URLs that cost a unit of a request budget together: some 1 ms of CPU time each.
_URLS_A_UNIT = 2
_VERDICTS: Mapping[type[DssError], Verdict] = {
    Unauthorized: Verdict.UNAUTHORIZED,
    Forbidden: Verdict.FORBIDDEN,
    Hidden: Verdict.HIDDEN,
    Gone: Verdict.PURGED,
}


def admit(call: Call, name: str, ids: Sequence[str], *, urls: int = 0) -> None:
    """Charge a bulk request for the objects with these ids, and so many URLs.

    Raise RequestTooLarge if it asks for more than one may.
    """
    length = max(len(ids), urls)
    if length > MOST_OBJECTS:
        raise RequestTooLarge(
            f"{name}: {length:,} objects; a request may name {MOST_OBJECTS:,} (maxBulkRequestLength)"
        )
    # An id without a version takes queries.
    unversioned = sum("." not in one for one in ids)
    call.charge(units_of(len(ids)) + unversioned + -(-urls // _URLS_A_UNIT))


def note_reads(found: Mapping[str, DataObject | DssError]) -> None:
    """Note for the audit log which of many objects are refused, and which managed ones are read."""
    note_refusals(found)
    for one in found.values():
        if isinstance(one, DataObject) and one.resource.is_managed:
            noted().read_managed(one.fqid)


def note_refusals(outcomes: Mapping[str, object]) -> None:
    """Note for the audit log which of many objects are refused."""
    for text, outcome in outcomes.items():
        wanted = ObjectId.parse(text)
        verdict = _VERDICTS.get(type(outcome)) if isinstance(outcome, DssError) else None
        if wanted and verdict:
            noted().refuse(Fqid(wanted.uuid, wanted.version or ""), verdict)


def bulk_form(
    key: str, asked: Sequence[tuple[str, Any]], outcomes: Mapping[Any, dict[str, Any] | DssError]
) -> dict[str, Any]:
    """Return the answer to a bulk request.

    `asked` has the id of an object for each that was asked for, and the name of its outcome. An outcome is a
    member of the list `key`, or an error.
    """
    resolved = [found for _, name in asked if not isinstance(found := outcomes[name], DssError)]
    unresolved: dict[int, list[str]] = defaultdict(list)
    for object_id, name in asked:
        error = outcomes[name]
        if isinstance(error, DssError):
            unresolved[status_of(error)].append(object_id)
    return {
        "summary": {
            "requested": len(asked),
            "resolved": len(resolved),
            "unresolved": len(asked) - len(resolved),
        },
        "unresolved_drs_objects": [
            {"error_code": status, "object_ids": object_ids} for status, object_ids in unresolved.items()
        ],
        key: resolved,
    }
