"""Removes terms and their combinations that no document has any more: they may have been purged.

A writer looks up the numbers of those that are there, and uses them later in its transaction. So writers
share a lock, and nothing is removed while one of them has it.
"""

from psycopg import Connection
from psycopg.errors import LockNotAvailable

# A number that nothing else in the database locks: the bytes of "dss4".
_LOCK = 0x64737334
# Writers wait as long as the removal waits for others.
_PATIENCE = "3s"
# Combinations that are removed at once: about a second, in which writers wait.
MOST_REMOVED = 10_000

# Looked for without the lock, as it reads all profiles.
_UNUSED = """
    SELECT part.number FROM dss_explore_parts AS part
    LEFT JOIN (SELECT DISTINCT unnest(parts) AS number FROM dss_explore_profiles) AS used USING (number)
    WHERE used.number IS NULL LIMIT %s
"""
_REMOVE_PARTS = """
    DELETE FROM dss_explore_parts WHERE number = ANY(%(numbers)s) AND number NOT IN (
        SELECT part FROM dss_explore_profiles, unnest(parts) AS part WHERE part = ANY(%(numbers)s)
    ) RETURNING terms
"""
_REMOVE_TERMS = """
    DELETE FROM dss_explore_terms WHERE number = ANY(%(numbers)s) AND number NOT IN (
        SELECT term FROM dss_explore_parts, unnest(terms) AS term WHERE term = ANY(%(numbers)s)
    )
"""


def keep_numbers(connection: Connection) -> None:
    """Keep all terms and combinations to the end of a transaction.

    Called before it locks entities: who waits here has nothing that a writer may need.
    """
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_LOCK,))


def remove_unused(connection: Connection) -> int:
    """Remove what no document uses, up to MOST_REMOVED combinations; return how many were removed.

    None are if a writer takes longer than this waits.
    """
    unused = [number for (number,) in connection.execute(_UNUSED, (MOST_REMOVED,))]
    if not unused:
        return 0
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", (_PATIENCE,))
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            removed = connection.execute(_REMOVE_PARTS, {"numbers": unused}).fetchall()
            terms = sorted({number for (listed,) in removed for number in listed})
            connection.execute(_REMOVE_TERMS, {"numbers": terms})
    except LockNotAvailable:
        return 0
    return len(removed)
