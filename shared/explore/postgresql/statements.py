"""The statements that answer questions to a catalogue.

What decides the way of each is what it must read: rows of profiles, of which there are few, or of documents.
"""

from collections.abc import Sequence

from psycopg import sql
from psycopg.sql import SQL, Composable, Composed

# The keys that documents are sorted by.
DEFAULT_KEY = SQL("document.default_key")
PAGE_KEY = SQL("on_page.key")
ENTITY_KEY = SQL("document.entity_id")
KEY = SQL('(document.keys ->> {}) COLLATE "C"')
TERM_KEY = SQL("profile.key")
NO_TERM_KEY = SQL("''")
OWN_TERM_KEY = SQL("""
    (SELECT part.keys ->> {} FROM dss_explore_parts AS part WHERE part.number = profile.parts[{}]) COLLATE "C"
""")

ANYTHING, NONE_FAILS = SQL("true"), SQL("0")

_PROFILES = """
    dss_explore_profiles AS profile
    WHERE profile.catalog = {catalog} AND profile.entity_type = {kind} AND profile.audience = ANY({audiences})
        AND {profiles}
"""
_DOCUMENTS = """
    dss_explore_documents AS document
    WHERE document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.audience = ANY({audiences})
"""

# What matches: the parts of profiles, how many documents have each, and which filters don't hold, as bits.
MATCHING_PROFILES = SQL("SELECT profile.parts, profile.n, {failed} AS failed FROM" + _PROFILES)
# Of the documents only those are looked at whose profile some count needs.
MATCHING_DOCUMENTS = SQL(
    "SELECT wanted.parts, found.n, wanted.failed FROM ("
    "SELECT document.profile, count(*) AS n FROM dss_explore_documents AS document"
    " JOIN (SELECT profile.id FROM (SELECT profile.id, {failed} AS failed FROM"
    + _PROFILES
    + ") AS profile WHERE failed = ANY({needed})) AS profile ON profile.id = document.profile"
    " WHERE document.catalog = {catalog} AND document.entity_type = {kind} AND {documents}"
    " GROUP BY document.profile) AS found"
    " JOIN (SELECT profile.id, profile.parts, {failed} AS failed FROM"
    + _PROFILES
    + ") AS wanted ON wanted.id = found.profile"
)
# The same, of conditions that the index of the default order decides: it is read once, as a whole. PostgreSQL
# can't know how few profiles are needed, and would look up the documents of each.
MATCHING_IN_INDEX = SQL(
    "SELECT wanted.parts, found.n, wanted.failed FROM ("
    "SELECT document.profile, count(*) AS n FROM"
    + _DOCUMENTS
    + "AND {documents} GROUP BY document.profile) AS found"
    " JOIN (SELECT profile.id, profile.parts, {failed} AS failed FROM"
    + _PROFILES
    + ") AS wanted ON wanted.id = found.profile WHERE wanted.failed = ANY({needed})"
)
COUNTED = SQL("""
    SELECT {number} AS number, parts[{position}] AS part, sum(n) AS n FROM matching
    WHERE failed = ANY({bits}) GROUP BY parts[{position}]
""")
TOTAL = SQL("""
    SELECT {number} AS number, NULL, NULL, coalesce(sum(n), 0)::bigint FROM matching
    WHERE failed = ANY({bits})
""")
_COUNTS = SQL("""
    WITH matching AS MATERIALIZED ({matching}),
    numbered AS MATERIALIZED (
        SELECT counted.number, term AS of_term, sum(counted.n)::bigint AS n FROM ({counted}) AS counted
        JOIN dss_explore_parts AS part ON part.number = counted.part CROSS JOIN unnest(part.terms) AS term
        WHERE {terms}
        GROUP BY counted.number, term
    )
    SELECT numbered.number, term.field, term.key, numbered.n
    FROM numbered JOIN dss_explore_terms AS term ON term.number = numbered.of_term
    WHERE (numbered.number, term.field) IN ({names})
    UNION ALL {totals}
""")
_ONLY_TERMS = SQL("term IN (SELECT number FROM dss_explore_terms WHERE field = ANY({}))")
_TOTALS = SQL("WITH matching AS MATERIALIZED ({matching}) {totals}")


def counts(
    matching: Composable,
    counted: Sequence[Composable],
    names: Sequence[Composable],
    totals: Sequence[Composable],
    only: Sequence[str] | None,
) -> Composed:
    """Return the statement of all counts: the number of a filter that needn't hold, a field, a key, and how
    many; or the number and how many documents match in all. `only` are the facets, if they are few."""
    union = SQL(" UNION ALL ")
    if not counted:
        return _TOTALS.format(matching=matching, totals=union.join(totals))
    return _COUNTS.format(
        matching=matching,
        counted=union.join(counted),
        names=SQL(", ").join(names),
        totals=union.join(totals),
        terms=ANYTHING if only is None else _ONLY_TERMS.format(sql.Literal(list(only))),
    )


def failed(conditions: Sequence[Composable]) -> Composable:
    """Return which of some conditions do not hold: a number with a bit for each of them."""
    bit = SQL("CASE WHEN {} THEN 0 ELSE {} END")
    return SQL(" + ").join(bit.format(each, sql.Literal(1 << n)) for n, each in enumerate(conditions))


# The numbers of matching documents, summed up to profiles if no condition is about documents.
SUMMED_PROFILES = SQL("SELECT profile.parts, profile.n, profile.sums FROM" + _PROFILES)
SUMMED_DOCUMENTS = SQL("""
    SELECT profile.parts, 1 AS n, document.sums FROM dss_explore_documents AS document
    JOIN dss_explore_profiles AS profile ON profile.id = document.profile
    WHERE document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.audience = ANY({audiences}) AND {profiles} AND {documents}
""")
# Of a profile without numbers one row remains, so that its documents are counted.
SUMS = SQL("""
    SELECT place, sum(n)::bigint, sum(amount)::bigint
    FROM ({}) AS matching LEFT JOIN LATERAL unnest(sums) WITH ORDINALITY AS each_sum (amount, place) ON true
    GROUP BY place ORDER BY place
""")
SUMS_BY = SQL("""
    WITH summed AS MATERIALIZED (
        SELECT parts[{position}] AS part, place, sum(n) AS n, sum(amount) AS amount
        FROM ({matching}) AS matching
        LEFT JOIN LATERAL unnest(sums) WITH ORDINALITY AS each_sum (amount, place) ON true
        GROUP BY part, place
    )
    SELECT term.key, place, sum(n)::bigint, sum(amount)::bigint
    FROM summed JOIN dss_explore_parts AS part ON part.number = summed.part
    CROSS JOIN unnest(part.terms) AS of_part
    JOIN dss_explore_terms AS term ON term.number = of_part AND term.field = {field}
    GROUP BY term.key, place ORDER BY term.key, place
""")
# Of each day, which a sort key of a version begins with, behind the character that says that there is one.
GROWTH = SQL(
    """
    SELECT substr(document.keys ->> {name}, 2, 10) COLLATE "C" AS day, count(*), sum(document.sums[1])::bigint
    FROM dss_explore_documents AS document
    WHERE document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.audience = ANY({audiences}) AND {documents}
        AND length(document.keys ->> {name}) > 10 AND (document.profile IN (SELECT profile.id FROM"""
    + _PROFILES
    + ")) IS TRUE GROUP BY day ORDER BY day"
)
DISTINCT = SQL("WITH matching AS MATERIALIZED (SELECT document.ids FROM" + _DOCUMENTS + ") SELECT {numbers}")
DISTINCT_FILTERED = SQL(
    "WITH matching AS MATERIALIZED (SELECT document.ids FROM dss_explore_documents AS document"
    " JOIN (SELECT profile.id FROM" + _PROFILES + ") AS profile ON profile.id = document.profile"
    " WHERE document.catalog = {catalog} AND document.entity_type = {kind} AND {documents})"
    " SELECT {numbers}"
)
DISTINCT_NUMBER = SQL("""
    (SELECT count(*) FROM (
        SELECT DISTINCT value COLLATE "C" FROM matching, jsonb_array_elements_text(ids -> {}) AS value
    ) AS of_field)
""")

# Pages. Which documents are on a page is found without what they hold.
_WITH_DOCUMENTS = """
    SELECT on_page.entity_id, {shown_key}, coalesce(document.page, document.document) FROM on_page
    JOIN dss_explore_documents AS document
        ON document.catalog = {catalog} AND document.entity_type = {kind}
        AND document.entity_id = on_page.entity_id AND document.audience = on_page.audience
    ORDER BY on_page.key {direction}, on_page.entity_id {direction}
"""
_ORDERED = "ORDER BY key {direction}, entity_id {direction} LIMIT {limit}"
# In the order of an index, from the beginning until the page is full.
PAGE = SQL(
    "WITH on_page AS MATERIALIZED (SELECT document.entity_id, document.audience, {key} AS key FROM"
    + _DOCUMENTS
    + "AND {position} AND {documents}"
    " ORDER BY {key} {direction}, document.entity_id {direction} LIMIT {limit})" + _WITH_DOCUMENTS
)
# The same, for conditions that many profiles meet.
PAGE_AMONG_PROFILES = SQL(
    "WITH on_page AS MATERIALIZED (SELECT document.entity_id, document.audience, {key} AS key FROM"
    + _DOCUMENTS
    + "AND {position} AND {documents} AND (document.profile IN (SELECT profile.id FROM"
    + _PROFILES
    + ")) IS TRUE ORDER BY {key} {direction}, document.entity_id {direction} LIMIT {limit})"
    + _WITH_DOCUMENTS
)
# The first documents of each profile, merged. All that this needs is in an index.
PAGE_OF_PROFILES = SQL(
    "WITH on_page AS MATERIALIZED ("
    "SELECT document.entity_id, profile.audience, document.key FROM (SELECT profile.id, profile.audience FROM"
    + _PROFILES
    + """
        ) AS profile
        CROSS JOIN LATERAL (
            SELECT document.entity_id, {key} AS key
            FROM dss_explore_documents AS document WHERE document.profile = profile.id AND {position}
            ORDER BY {key} {direction}, document.entity_id {direction} LIMIT {limit}
        ) AS document
    """
    + _ORDERED
    + ")"
    + _WITH_DOCUMENTS
)
# Of a facet's values in order only so many as fill the page; each has the documents of its profiles.
PAGE_OF_TERMS = SQL(
    "WITH profile AS MATERIALIZED (SELECT profile.id, profile.audience, profile.n, {term_key} AS key FROM"
    + _PROFILES
    + """
    ),
    counted AS (
        SELECT profile.key, sum(CASE WHEN {at_start} THEN 0 ELSE profile.n END) AS n
        FROM profile WHERE {from_start} GROUP BY profile.key
    ),
    wanted AS (
        SELECT key, sum(n) OVER (ORDER BY key {direction} ROWS UNBOUNDED PRECEDING) - n AS before FROM counted
    ),
    on_page AS MATERIALIZED (
        SELECT document.entity_id, profile.audience, profile.key
        FROM profile JOIN wanted ON wanted.key = profile.key AND wanted.before < {limit}
        JOIN dss_explore_documents AS document ON document.profile = profile.id
        WHERE {position}
    """
    + _ORDERED
    + ")"
    + _WITH_DOCUMENTS
)
# All that match, sorted.
PAGE_OF_ALL = SQL(
    "WITH profile AS MATERIALIZED (SELECT profile.id, {term_key} AS key FROM"
    + _PROFILES
    + """
    ),
    matching AS MATERIALIZED (
        SELECT document.entity_id, document.audience, {key} AS key
        FROM dss_explore_documents AS document JOIN profile ON profile.id = document.profile
        WHERE document.catalog = {catalog} AND document.entity_type = {kind}
            AND document.audience = ANY({audiences}) AND {documents} AND {position}
    ),
    on_page AS MATERIALIZED (SELECT * FROM matching
    """
    + _ORDERED
    + ")"
    + _WITH_DOCUMENTS
)
# A page is merged from so many profiles at most: each takes a search of an index.
MOST_MERGED = 4000
HOW_MANY_PROFILES = SQL("SELECT count(*) FROM" + _PROFILES)
ONE = SQL("""
    SELECT document.entity_id, document.default_key, document.document
    FROM dss_explore_documents AS document
    JOIN dss_explore_profiles AS profile ON profile.id = document.profile
    WHERE document.catalog = {catalog} AND document.entity_type = {kind} AND document.entity_id = {id}
        AND document.audience = ANY({audiences}) AND {condition}
""")

# Manifests: what matches, without what it holds, in an order that begins behind a position.
SELECTED = SQL(
    "SELECT document.entity_id, document.audience FROM"
    + _DOCUMENTS
    + """AND document.entity_id > {after} AND {documents}
        AND (document.profile IN (SELECT profile.id FROM"""
    + _PROFILES
    + ")) IS TRUE ORDER BY document.entity_id"
)
# Of each bundle, too, in which the reader finds it.
SELECTED_BY_BUNDLE = SQL(
    """
    SELECT share.entity_id, document.audience, share.uuid, bundle.version
    FROM dss_explore_shares AS share
    JOIN dss_explore_bundles AS bundle
        ON bundle.catalog = share.catalog AND bundle.uuid = share.uuid AND bundle.is_current
    JOIN dss_explore_documents AS document
        ON document.catalog = share.catalog AND document.entity_type = share.entity_type
        AND document.entity_id = share.entity_id AND document.audience = ANY({audiences})
    WHERE share.catalog = {catalog} AND share.entity_type = {kind} AND {readable}
        AND (share.uuid, share.entity_id) > ({uuid}, {after}) AND {documents}
        AND (document.profile IN (SELECT profile.id FROM"""
    + _PROFILES
    + ")) IS TRUE ORDER BY share.uuid, share.entity_id"
)
DOCUMENTS_OF = """
    SELECT document.entity_id, document.document
    FROM unnest(%s::text[], %s::integer[]) AS wanted (id, audience)
    JOIN dss_explore_documents AS document ON document.catalog = %s AND document.entity_type = %s
        AND document.entity_id = wanted.id AND document.audience = wanted.audience
"""
