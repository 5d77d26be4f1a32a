"""Locks of writers: of bundles, and of the entities that they say something of.

A writer takes all that it needs in one order, bundles first. A bundle may have 10,000 entities, more than
PostgreSQL's table of locks may hold (6,400 by default, for all of its connections): those of entities are
locks of rows, of which there is no end. They are so many that a large bundle leaves most of them to others.
"""

import hashlib
from collections.abc import Iterable

from psycopg import Connection

from shared.explore.catalogues import Catalogue
from shared.explore.changes import EntityKey

# Rows of `dss_explore_locks`, for the entities of all catalogues: a bundle of 10,000 has 7 % of them.
LOCKS = 1 << 17
# Advisory locks of the bundles of one catalogue; a writer has few at once.
_BUNDLES = 512
# Numbers that nothing else in the database locks: the bytes of "dssx", and more than 2^32 behind.
_FIRST_BUNDLE = 0x64737378 << 24

_LOCK_BUNDLES = "SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number"
_LOCK_ENTITIES = """
    SELECT FROM dss_explore_locks WHERE number = ANY(%s::integer[]) ORDER BY number FOR UPDATE
"""


def lock_bundles(connection: Connection, catalogue: Catalogue, uuids: Iterable[str]) -> None:
    """Wait until no other transaction changes any of some bundles, and keep it so to the end of this one."""
    first = _FIRST_BUNDLE + catalogue.number * 2 * _BUNDLES
    numbers = sorted({first + _hash(f"bundle/{uuid}") % _BUNDLES for uuid in uuids})
    connection.execute(_LOCK_BUNDLES, (numbers,))


def lock_entities(connection: Connection, catalogue: Catalogue, keys: Iterable[EntityKey]) -> None:
    """Wait until no other transaction changes any of some entities, and keep it so to the end of this one."""
    numbers = sorted({_hash(f"{catalogue.number}/{kind}/{entity_id}") % LOCKS for kind, entity_id in keys})
    locked = connection.execute(_LOCK_ENTITIES, (numbers,)).rowcount
    if locked != len(numbers):
        raise RuntimeError(f"dss_explore_locks must have the numbers up to {LOCKS - 1}: add what it lacks")


def _hash(key: str) -> int:
    """Return a number of a key. Two keys with one lock wait for each other, and no more."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
