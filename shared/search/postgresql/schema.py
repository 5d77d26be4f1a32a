"""The tables of the PostgreSQL back end, and how a database comes by them: one migration after the other."""

from typing import LiteralString

from psycopg import Connection
from psycopg.errors import UndefinedTable

# Any number that nothing else in the database locks; the bytes of "dss1".
_LOCK = 0x64737331

# Entries that were written before there were words; the planner knows the index by this text.
WITHOUT_WORDS: LiteralString = "form < 2"

# Each is run once, in this order, by whichever process comes first. To change tables, add one: whatever is
# here has been run somewhere. Processes of the release before go on using the tables meanwhile.
MIGRATIONS: tuple[tuple[LiteralString, ...], ...] = (
    (
        # Names compare by their bytes, as everywhere in the system, whatever the database's language.
        """
        CREATE TABLE dss_index (
            replica text COLLATE "C" NOT NULL,
            uuid text COLLATE "C" NOT NULL,
            version text COLLATE "C" NOT NULL,
            dead boolean NOT NULL,
            digest text NOT NULL,
            form integer NOT NULL,
            postings uuid[] NOT NULL,
            leaves jsonb NOT NULL,
            document text NOT NULL,
            PRIMARY KEY (replica, uuid, version)
        )
        """,
        "CREATE INDEX dss_index_postings ON dss_index USING gin (postings)",
        # Hashes do not get smaller by being compressed.
        "ALTER TABLE dss_index ALTER COLUMN postings SET STORAGE EXTERNAL",
        # How rare a posting is decides whether the index is asked. PostgreSQL keeps 10 times as many values.
        "ALTER TABLE dss_index ALTER COLUMN postings SET STATISTICS 500",
    ),
    (
        # Entries of the first form have none, and are looked up by the index over what is left of them.
        "ALTER TABLE dss_index ADD COLUMN words tsvector",
        "CREATE INDEX dss_index_words ON dss_index USING gin (words)",
        f"CREATE INDEX dss_index_without_words ON dss_index (replica) WHERE {WITHOUT_WORDS}",
    ),
    (
        # By itself GIN puts new keys on a list, 4 MiB at most, through which every look-up goes until it is
        # vacuumed away: measured, 43 ms a search in place of 1.5, for a put of 21 ms in place of 28.
        "ALTER INDEX dss_index_postings SET (fastupdate = off)",
        "ALTER INDEX dss_index_words SET (fastupdate = off)",
        "SELECT gin_clean_pending_list('dss_index_postings'), gin_clean_pending_list('dss_index_words')",
    ),
)


def migrate(connection: Connection) -> None:
    """Bring the tables to the state that this release knows. Safe to be called by many processes at once.

    What is newer than that stays. Needs the right to create tables only where something is to be done.
    """
    if _version(connection) >= len(MIGRATIONS):
        return
    with connection.transaction():
        # Whoever comes second waits here, and finds it done.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        # An index over millions of entries takes longer to make than statements may.
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("CREATE TABLE IF NOT EXISTS dss_index_migrations (number integer PRIMARY KEY)")
        for number in range(_version(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute("INSERT INTO dss_index_migrations VALUES (%s)", (number + 1,))


def _version(connection: Connection) -> int:
    """Return the number of the last migration that was run; 0 for a new database."""
    try:
        row = connection.execute("SELECT coalesce(max(number), 0) FROM dss_index_migrations").fetchone()
    except UndefinedTable:
        return 0
    return int(row[0]) if row else 0
