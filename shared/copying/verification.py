"""Proof that content has the checksums that its owner claims: all four are computed from its bytes.

The bytes that are read here may go to other replicas at once (`shared.copying.relays`), so that none leaves
its cloud twice.
"""

from collections.abc import Sequence

from shared.checksums import Checksums, ResumableCalculator, checksums_of
from shared.clock import Deadline
from shared.copying.plan import Part
from shared.copying.reading import chunks_of
from shared.copying.relays import Relay
from shared.stores.base import ObjectStore, ReadsObjects, StoredObject

# Chunks that are read at once. Twice as many are in memory: 64 MiB.
READERS = 4


def read_verified(
    source: StoredObject, store: ObjectStore, checksums: Checksums, deadline: Deadline
) -> bytes:
    """Return the whole content of a small object, which has these checksums.

    Raises InvalidChecksum if it has others, ObjectChanged if the object was replaced since it was described,
    CopyTakesLonger if the deadline passes, and the errors of the store.
    """
    data = read_whole(source, store, deadline)
    checksums.check_computed(checksums_of(data))
    return data


def read_whole(source: StoredObject, store: ReadsObjects, deadline: Deadline) -> bytes:
    """Return the whole content of a small object.

    Raises ObjectChanged, CopyTakesLonger and the errors of the store, as `read_verified`.
    """
    return b"".join(chunks_of(source, store, 0, source.size, deadline, readers=READERS))


def verify_part(
    calculator: ResumableCalculator,
    source: StoredObject,
    store: ReadsObjects,
    part: Part,
    relays: Sequence[Relay],
    deadline: Deadline,
) -> None:
    """Read the next part of an object; add it to a calculation, and send it on.

    Raises what `read_verified` raises but for InvalidChecksum. The calculation is then of no more use.
    """
    for relay in relays:
        relay.begin_part(part)
    try:
        for chunk in chunks_of(source, store, part.first, part.size, deadline, readers=READERS):
            for relay in relays:
                relay.send(chunk)
            calculator.update(chunk)
    finally:
        for relay in relays:
            relay.end_part()
    calculator.end_part()
