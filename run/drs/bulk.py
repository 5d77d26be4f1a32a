"""Answers about many objects at once: those that were resolved, and the others by their status."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from run.api.errors import status_of
from shared.drs.limits import MOST_OBJECTS
from shared.errors import DssError, RequestTooLarge


def check_length(name: str, length: int) -> None:
    """Raise RequestTooLarge if a request names more objects than it may."""
    if length > MOST_OBJECTS:
        raise RequestTooLarge(
            f"{name}: {length:,} objects; a request may name {MOST_OBJECTS:,} (maxBulkRequestLength)"
        )


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
