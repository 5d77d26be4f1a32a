"""The tables of the catalogue, made and changed by migrations, one after the other."""

from typing import LiteralString

from shared.explore.postgresql.locks import LOCKS
from shared.postgresql.migrations import Migrations

# The advisory lock of migrations, a number that nothing else in the database locks: the bytes of "dss2".
_LOCK = 0x64737332

MIGRATIONS: tuple[tuple[LiteralString, ...], ...] = (
    (
        # `settings` is the configuration that the catalogue was made with, and by which rules the plug-in
        # merges, sorts and counts. The catalogue has followed all events of its replica before `position`,
        # and the sweep has compared it up to `compared`; what waited at `measured`.
        """
        CREATE TABLE dss_explore_catalogs (
            number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text COLLATE "C" NOT NULL UNIQUE,
            settings jsonb NOT NULL,
            is_default boolean NOT NULL DEFAULT false,
            position text COLLATE "C" NOT NULL DEFAULT '',
            compared text NOT NULL DEFAULT '',
            waiting integer NOT NULL DEFAULT 0,
            oldest_seconds double precision NOT NULL DEFAULT 0,
            measured timestamptz
        )
        """,
        "CREATE UNIQUE INDEX dss_explore_default ON dss_explore_catalogs (is_default) WHERE is_default",
        # How often a catalogue has changed: the sum of its rows, of which there are several, so that writers
        # seldom wait for each other. Each begins at a random number: a database that is made anew must not
        # repeat what was counted before.
        """
        CREATE TABLE dss_explore_revisions (
            catalog integer NOT NULL,
            slot integer NOT NULL,
            n bigint NOT NULL,
            PRIMARY KEY (catalog, slot)
        ) WITH (fillfactor = 50)
        """,
        # A row for each bundle version that was ever seen. `said` is what it contributes, to which entities;
        # `tried` is when the sweep brought it to mind again.
        """
        CREATE TABLE dss_explore_bundles (
            catalog integer NOT NULL,
            uuid text COLLATE "C" NOT NULL,
            version text COLLATE "C" NOT NULL,
            state text NOT NULL,
            labels text[] COLLATE "C" NOT NULL,
            is_current boolean NOT NULL,
            reason text NOT NULL DEFAULT '',
            release text NOT NULL DEFAULT '',
            changed timestamptz NOT NULL DEFAULT now(),
            tried timestamptz,
            said text,
            PRIMARY KEY (catalog, uuid, version)
        )
        """,
        """
        CREATE INDEX dss_explore_failed ON dss_explore_bundles (catalog, uuid, version) WHERE state = 'failed'
        """,
        # A writer locks a row for each entity that it changes: see `shared.explore.postgresql.locks`.
        "CREATE TABLE dss_explore_locks (number integer PRIMARY KEY)",
        f"INSERT INTO dss_explore_locks SELECT generate_series(0, {LOCKS - 1})",
        # Which bundles say something of an entity, by their current version. The first bundles of an entity
        # for each set of readers are found by the key.
        """
        CREATE TABLE dss_explore_shares (
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            entity_id text COLLATE "C" NOT NULL,
            uuid text COLLATE "C" NOT NULL,
            labels text COLLATE "C" NOT NULL,
            PRIMARY KEY (catalog, entity_type, entity_id, labels, uuid)
        )
        """,
        "CREATE INDEX dss_explore_shares_of ON dss_explore_shares (catalog, uuid)",
        # Entities that are in many bundles, with the number of their shares by labels. Their counts are kept,
        # and changed by differences.
        """
        CREATE TABLE dss_explore_large (
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            entity_id text COLLATE "C" NOT NULL,
            labels jsonb NOT NULL,
            PRIMARY KEY (catalog, entity_type, entity_id)
        )
        """,
        # The inner entities of large entities, by the bundles that describe them: the greatest version
        # counts.
        """
        CREATE TABLE dss_explore_members (
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            entity_id text COLLATE "C" NOT NULL,
            listed text COLLATE "C" NOT NULL,
            inner_id uuid NOT NULL,
            version text COLLATE "C" NOT NULL,
            uuid text COLLATE "C" NOT NULL,
            labels text COLLATE "C" NOT NULL,
            digest uuid NOT NULL,
            PRIMARY KEY (catalog, entity_type, entity_id, listed, inner_id, version, uuid)
        )
        """,
        """
        CREATE INDEX dss_explore_members_digest
            ON dss_explore_members (catalog, entity_type, entity_id, digest)
        """,
        # Of one large entity each: its lock is all that keeps a row from being removed while it is needed.
        """
        CREATE TABLE dss_explore_inner (
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            entity_id text COLLATE "C" NOT NULL,
            digest uuid NOT NULL,
            entity text NOT NULL,
            PRIMARY KEY (catalog, entity_type, entity_id, digest)
        )
        """,
        """
        CREATE TABLE dss_explore_tallies (
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            entity_id text COLLATE "C" NOT NULL,
            audience integer NOT NULL,
            slot uuid NOT NULL,
            digest uuid NOT NULL,
            listed text NOT NULL,
            grp text NOT NULL,
            field text NOT NULL,
            value text NOT NULL,
            n bigint NOT NULL,
            PRIMARY KEY (catalog, entity_type, entity_id, audience, slot, digest)
        )
        """,
        # Combinations of readers; few, and read as a whole.
        """
        CREATE TABLE dss_explore_audiences (
            number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            shown jsonb NOT NULL,
            hidden jsonb NOT NULL,
            UNIQUE (shown, hidden)
        )
        """,
        # Values of facets, by number.
        """
        CREATE TABLE dss_explore_terms (
            number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            field text COLLATE "C" NOT NULL,
            digest uuid NOT NULL,
            key text NOT NULL,
            UNIQUE (field, digest)
        )
        """,
        # Combinations of terms of one group of facets; `keys` is a sort key for each of those.
        """
        CREATE TABLE dss_explore_parts (
            number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            digest uuid NOT NULL UNIQUE,
            terms integer[] NOT NULL,
            keys jsonb NOT NULL
        )
        """,
        "CREATE INDEX dss_explore_parts_terms ON dss_explore_parts USING gin (terms)",
        # Combinations of parts, one of each group, and how many documents have each: counts of facets are
        # sums over these. `sums` are those of the documents' numbers.
        """
        CREATE TABLE dss_explore_profiles (
            id uuid PRIMARY KEY,
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            audience integer NOT NULL,
            parts integer[] NOT NULL,
            n integer NOT NULL,
            sums bigint[] NOT NULL
        ) WITH (fillfactor = 80)
        """,
        "CREATE INDEX dss_explore_profiles_of ON dss_explore_profiles (catalog, entity_type, audience)",
        # What is searched and shown. `vals` are the values of fields that are no facets, `keys` a sort key
        # for each of them; `numbers` are the least values of fields with ranges, and then, if others, the
        # greatest; `ids` are values whose different ones are counted. `page` is what pages show of a
        # document, if it is less than all: see `shared.explore.entities.shortened`. What is read of all
        # documents is kept apart from what is read of few.
        """
        CREATE TABLE dss_explore_documents (
            catalog integer NOT NULL,
            entity_type text COLLATE "C" NOT NULL,
            entity_id text COLLATE "C" NOT NULL,
            audience integer NOT NULL,
            profile uuid NOT NULL,
            default_key text COLLATE "C" NOT NULL,
            keys jsonb NOT NULL,
            numbers double precision[] NOT NULL,
            sums bigint[] NOT NULL,
            ids jsonb NOT NULL,
            vals jsonb NOT NULL,
            words tsvector NOT NULL,
            page text,
            document text NOT NULL,
            PRIMARY KEY (catalog, entity_type, entity_id, audience)
        ) WITH (toast_tuple_target = 1024)
        """,
        # PostgreSQL moves all that it may out of a row that is still too long without its documents, names of
        # 37 bytes too: reading all names would then cost a look-up for each.
        """
        ALTER TABLE dss_explore_documents
            ALTER keys SET STORAGE MAIN, ALTER numbers SET STORAGE MAIN, ALTER sums SET STORAGE MAIN,
            ALTER ids SET STORAGE MAIN,
            ALTER entity_type SET STORAGE MAIN, ALTER entity_id SET STORAGE MAIN,
            ALTER default_key SET STORAGE MAIN
        """,
        # The first documents of each profile, in the default order.
        """
        CREATE INDEX dss_explore_documents_profile ON dss_explore_documents (profile, default_key, entity_id)
        """,
        # The default order. Ranges are looked up, and what is in them is counted and sorted, in this index
        # alone: the rows themselves are ten times as long.
        """
        CREATE INDEX dss_explore_documents_order
            ON dss_explore_documents (catalog, entity_type, default_key, entity_id)
            INCLUDE (audience, profile, numbers)
        """,
        """
        CREATE INDEX dss_explore_documents_values ON dss_explore_documents
            USING gin (vals jsonb_path_ops) WITH (fastupdate = off)
        """,
        """
        CREATE INDEX dss_explore_documents_words ON dss_explore_documents
            USING gin (words) WITH (fastupdate = off)
        """,
    ),
)

CATALOGUE_TABLES = Migrations("dss_explore_migrations", _LOCK, MIGRATIONS)
