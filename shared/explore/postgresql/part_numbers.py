"""Numbers of the combinations of terms that documents have of one group of facets.

Few of them occur, because the facets of a group describe one thing: all files of a project have its title,
its laboratories and its publications.
"""

from collections.abc import Mapping
from uuid import UUID

from psycopg import Connection

from shared.explore.postgresql.term_numbers import Term, TermNumbers, digest

_FIND = "SELECT digest, number FROM dss_explore_parts WHERE digest = ANY(%s::uuid[])"
_ADD = """
    INSERT INTO dss_explore_parts (digest, terms)
    SELECT digest, terms::integer[] FROM unnest(%s::uuid[], %s::text[]) AS new (digest, terms)
    ON CONFLICT DO NOTHING
"""

Part = frozenset[Term]


class PartNumbers:
    """The numbers of parts, as one transaction needs them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._terms = TermNumbers(connection)

    def numbers(self, parts: set[Part]) -> dict[Part, int]:
        """Return the numbers of parts, each of which gets one if it has none."""
        digests = {digest(repr(sorted(part))): part for part in parts}
        found = self._find(digests)
        if len(found) < len(parts):
            self._add({key: part for key, part in digests.items() if part not in found})
            found = self._find(digests)
        return found

    def _find(self, digests: Mapping[UUID, Part]) -> dict[Part, int]:
        rows = self._connection.execute(_FIND, (list(digests),))
        return {digests[key]: number for key, number in rows}

    def _add(self, new: Mapping[UUID, Part]) -> None:
        numbers = self._terms.numbers({term for part in new.values() for term in part})
        # In one order in all writers, so that two which add the same parts don't wait for each other.
        rows = sorted((key, sorted(numbers[term] for term in part)) for key, part in new.items())
        terms = ["{" + ",".join(map(str, listed)) + "}" for _, listed in rows]
        self._connection.execute(_ADD, ([key for key, _ in rows], terms))
