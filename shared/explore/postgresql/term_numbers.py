"""Numbers of the values of facets in the tables."""

import hashlib
from collections.abc import Iterable, Mapping

from psycopg import Connection

from shared.postgresql.connections import Connections

_FIND_TERMS = """
    SELECT wanted.place, term.number
    FROM unnest(%s::text[], %s::uuid[]) WITH ORDINALITY AS wanted (field, digest, place)
    JOIN dss_explore_terms AS term ON term.field = wanted.field AND term.digest = wanted.digest
"""
_ADD_TERMS = """
    INSERT INTO dss_explore_terms (field, digest, key)
    SELECT field, digest, key FROM unnest(%s::text[], %s::uuid[], %s::text[]) AS new (field, digest, key)
    ON CONFLICT DO NOTHING
"""

# A field and the text of a value (`shared.explore.rows.term_key`).
Term = tuple[str, str]


def digest(text: str) -> str:
    """Return the digits of the UUID under which tables have a text that may be too long for an index."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def array(numbers: Iterable[int | str]) -> str:
    """Return an array of numbers, or of digests, as text: the rows of one statement have arrays of different
    lengths."""
    return "{" + ",".join(map(str, numbers)) + "}"


def text_array(texts: Iterable[str]) -> str:
    """Return an array of texts as text, in less time than the driver takes."""
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


class TermNumbers:
    """The numbers of terms, as one transaction needs them.

    New ones are added by themselves, on a connection of their own, and stay if the transaction fails: what a
    transaction adds, it would lock to its end, and two that add several, each at its own time, would wait for
    each other.
    """

    def __init__(self, connection: Connection, adding: Connections) -> None:
        self._connection = connection
        self._adding = adding

    def numbers(self, terms: set[Term]) -> dict[Term, int]:
        """Return the numbers of terms, each of which gets one if it has none."""
        numbers = self._find_terms({term: digest(term[1]) for term in terms})
        if len(numbers) < len(terms):
            # In one order in all writers, so that two which add the same terms don't wait for each other.
            rows = sorted((name, digest(key), key) for name, key in terms if (name, key) not in numbers)
            names, digests, keys = zip(*rows, strict=True)
            with self._adding.connection() as connection:
                connection.execute(_ADD_TERMS, (text_array(names), array(digests), text_array(keys)))
            numbers |= self._find_terms({(name, key): found for name, found, key in rows})
        return numbers

    def _find_terms(self, digests: Mapping[Term, str]) -> dict[Term, int]:
        terms = list(digests)
        names = text_array(name for name, _ in terms)
        rows = self._connection.execute(_FIND_TERMS, (names, array(digests.values())))
        return {terms[place - 1]: number for place, number in rows}
