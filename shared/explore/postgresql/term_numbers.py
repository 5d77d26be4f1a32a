"""Numbers of the values of facets in the tables."""

import hashlib
from collections.abc import Iterable, Mapping
from uuid import UUID

from psycopg import Connection

_FIND_TERMS = """
    SELECT term.field, term.digest, term.number FROM unnest(%s::text[], %s::uuid[]) AS wanted (field, digest)
    JOIN dss_explore_terms AS term ON term.field = wanted.field AND term.digest = wanted.digest
"""
_ADD_TERMS = """
    INSERT INTO dss_explore_terms (field, digest, key)
    SELECT field, digest, key FROM unnest(%s::text[], %s::uuid[], %s::text[]) AS new (field, digest, key)
    ON CONFLICT DO NOTHING
"""

# A field and the text of a value (`shared.explore.rows.term_key`).
Term = tuple[str, str]


def digest(text: str) -> UUID:
    """Return the number under which tables have a text that may be too long for an index."""
    return UUID(bytes=hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def array(numbers: Iterable[int]) -> str:
    """Return an array as text: the rows of one statement have arrays of different lengths."""
    return "{" + ",".join(map(str, numbers)) + "}"


class TermNumbers:
    """The numbers of terms, as one transaction needs them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def numbers(self, terms: set[Term]) -> dict[Term, int]:
        """Return the numbers of terms, each of which gets one if it has none."""
        keyed = {(name, digest(key)): (name, key) for name, key in terms}
        numbers = self._find_terms(keyed)
        if len(numbers) < len(terms):
            # In one order in all writers, so that two which add the same terms don't wait for each other.
            new = sorted((name, digest, key) for (name, digest), (_, key) in keyed.items())
            new = [each for each in new if (each[0], each[2]) not in numbers]
            columns = [list(column) for column in zip(*new, strict=True)]
            self._connection.execute(_ADD_TERMS, columns)
            numbers = self._find_terms(keyed)
        return numbers

    def _find_terms(self, keyed: Mapping[tuple[str, UUID], Term]) -> dict[Term, int]:
        names, digests = [name for name, _ in keyed], [digest for _, digest in keyed]
        rows = self._connection.execute(_FIND_TERMS, (names, digests))
        return {keyed[name, digest]: number for name, digest, number in rows}
