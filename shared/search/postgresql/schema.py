"""The tables of the PostgreSQL back end, made and changed by migrations, one after the other."""

from typing import LiteralString

from shared.postgresql.migrations import Migrations

# The advisory lock of migrations, a number that nothing else in the database locks: the bytes of "dss1".
_LOCK = 0x64737331

# Entries of the first release, which have no range terms. The text must be that of the partial index below.
WITHOUT_RANGE_TERMS: LiteralString = "form < 2"

MIGRATIONS: tuple[tuple[LiteralString, ...], ...] = (
    (
        # Names compare by their bytes, as everywhere in the system, not by the language of the database.
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
        # Hashes do not compress.
        "ALTER TABLE dss_index ALTER COLUMN postings SET STORAGE EXTERNAL",
        # The planner needs the frequency of each posting. PostgreSQL keeps 10 times as many values as this.
        "ALTER TABLE dss_index ALTER COLUMN postings SET STATISTICS 500",
    ),
    (
        # Entries of the first release have none; a partial index leads to them.
        "ALTER TABLE dss_index ADD COLUMN words tsvector",
        "CREATE INDEX dss_index_words ON dss_index USING gin (words)",
        f"CREATE INDEX dss_index_without_words ON dss_index (replica) WHERE {WITHOUT_RANGE_TERMS}",
    ),
    (
        # By default GIN appends new keys to a pending list of up to 4 MiB, which every search reads until a
        # vacuum merges it: measured, a search of 43 ms instead of 1.5, and a put of 21 ms instead of 28.
        "ALTER INDEX dss_index_postings SET (fastupdate = off)",
        "ALTER INDEX dss_index_words SET (fastupdate = off)",
        "SELECT gin_clean_pending_list('dss_index_postings'), gin_clean_pending_list('dss_index_words')",
    ),
    (
        "ALTER TABLE dss_index RENAME COLUMN words TO range_terms",
        "ALTER TABLE dss_index RENAME COLUMN leaves TO scalars",
        "ALTER INDEX dss_index_words RENAME TO dss_index_range_terms",
        "ALTER INDEX dss_index_without_words RENAME TO dss_index_without_range_terms",
    ),
    (
        # The label of what anybody may read who may read by default: entries of former releases.
        """ALTER TABLE dss_index ADD COLUMN labels text[] COLLATE "C" NOT NULL DEFAULT '{default}'""",
        "CREATE INDEX dss_index_labels ON dss_index USING gin (labels) WITH (fastupdate = off)",
        # Without statistics PostgreSQL takes each label for rare, and looks up the most frequent one.
        "ANALYZE dss_index (labels)",
    ),
)

INDEX_TABLES = Migrations("dss_index_migrations", _LOCK, MIGRATIONS)
