"""Is there an order of all operations on a version in which each has the answer that it got?

A version is written once and may be deleted once, so that it goes through three states at most: absent,
present with one content, gone. Checkers of general registers try all orders of operations. Here it is enough
to look for the moments of the two changes: `written` and `deleted`. Each operation narrows the time in which
they can lie, since it took effect between its start and its end:

    PUT   answered 201, content a       written no later than its end
    PUT   refused                       claimed by another one no later than its end
    GET   found content a               written no later than its end, deleted no earlier than its start
    GET   found nothing, before DELETE  written no earlier than its start
    GET   found nothing, after it was   deleted no later than its end
          there, and after DELETE
"""

import math
from collections.abc import Iterable, Sequence

from tests.chaos.history import ABSENT, DELETE, OK, READ, REFUSED, UNKNOWN, WRITE, Operation


def faults_of(operations: Sequence[Operation]) -> list[str]:
    """Return why the operations on one version contradict each other; nothing if there is an order."""
    contents = {each.value for each in _proofs(operations) if each.value}
    if len(contents) > 1:
        return [f"it had {len(contents)} contents: {sorted(contents)}"]
    written = _written(operations, contents)
    return written or _deleted(operations)


def _proofs(operations: Iterable[Operation]) -> list[Operation]:
    """Return the operations that show that there is a content, and mostly which."""
    return [
        each
        for each in operations
        if (each.action == WRITE and each.outcome == OK)
        or (each.action == READ and each.outcome == OK and each.value != ABSENT)
    ]


def _refusals(operations: Iterable[Operation]) -> list[Operation]:
    """Return the writes that were refused since another one had claimed the name."""
    return [each for each in operations if each.action == WRITE and each.outcome == REFUSED]


def _absences(operations: Iterable[Operation]) -> list[Operation]:
    return [
        each for each in operations if each.action == READ and each.outcome == OK and each.value == ABSENT
    ]


def _deletions(operations: Iterable[Operation]) -> list[Operation]:
    return [each for each in operations if each.action == DELETE and each.outcome in (OK, UNKNOWN)]


def _written(operations: Sequence[Operation], contents: set[str]) -> list[str]:
    latest = min((each.end for each in _proofs(operations)), default=math.inf)
    tried = [
        each
        for each in operations
        if each.action == WRITE and each.outcome in (OK, UNKNOWN) and (not contents or each.value in contents)
    ]
    begun = min((each.start for each in tried), default=math.inf)
    if latest < math.inf and begun > latest:
        return ["it was found before anybody had written it"]
    # A name is claimed before it is there: who is refused may still find nothing.
    if any(begun > each.end for each in _refusals(operations)):
        return ["it was refused before anybody had written it"]
    deletion = min((each.start for each in _deletions(operations)), default=math.inf)
    late = [each for each in _absences(operations) if each.start > latest and each.end < deletion]
    return [f"it was gone at {late[0].start:.3f}, after it was there at {latest:.3f}"] if late else []


def _deleted(operations: Sequence[Operation]) -> list[str]:
    deletions = _deletions(operations)
    begun = min((each.start for each in deletions), default=math.inf)
    done = min((each.end for each in deletions if each.outcome == OK), default=math.inf)
    # What has not arrived on a replica yet is not gone.
    there = min((each.end for each in _proofs(operations)), default=math.inf)
    absences = (each for each in _absences(operations) if each.start > max(begun, there))
    gone = min((each.end for each in absences), default=math.inf)
    latest = min(done, gone)
    late = [
        each
        for each in operations
        if each.action == READ and each.outcome == OK and each.value and each.start > latest
    ]
    return [f"it was found at {late[0].start:.3f}, after it was gone at {latest:.3f}"] if late else []


def newest_faults(operations: Sequence[Operation]) -> list[str]:
    """Return the reads of a newest version that contradict others: one that went back, or lagged behind.

    The values of operations are versions, which sort by time; each write is of a version of its own.
    """
    reads = [each for each in operations if each.action == READ and each.outcome == OK]
    known = [each for each in operations if each.outcome == OK and each.value]
    faults = []
    for read in reads:
        newest = max((each.value for each in known if each.end < read.start), default=ABSENT)
        if read.value < newest:
            faults.append(f"{read.value or 'nothing'} was read at {read.start:.3f}, after {newest}")
    return faults
