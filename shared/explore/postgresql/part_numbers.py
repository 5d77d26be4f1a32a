"""Numbers of the combinations of terms that documents have of one group of facets.

Few of them occur, because the facets of a group describe one thing: all files of a project have its title,
its laboratories and its publications.
"""

import json
from collections.abc import Mapping
from uuid import UUID

from psycopg import Connection

from shared.explore.postgresql.term_numbers import TermNumbers, array, digest
from shared.explore.rows import Part

_FIND = "SELECT digest, number FROM dss_explore_parts WHERE digest = ANY(%s::uuid[])"
_ADD = """
    INSERT INTO dss_explore_parts (digest, terms, keys)
    SELECT digest, terms::integer[], keys::jsonb
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS new (digest, terms, keys)
    ON CONFLICT DO NOTHING
"""


class PartNumbers:
    """The numbers of parts, as one transaction needs them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._terms = TermNumbers(connection)

    def numbers(self, parts: set[Part]) -> dict[Part, int]:
        """Return the numbers of parts, each of which gets one if it has none."""
        digests = {digest(repr(sorted(part.terms))): part for part in parts}
        found = self._find(digests)
        if len(found) < len(parts):
            self._add({key: part for key, part in digests.items() if part not in found})
            found = self._find(digests)
        return found

    def _find(self, digests: Mapping[UUID, Part]) -> dict[Part, int]:
        rows = self._connection.execute(_FIND, (list(digests),))
        return {digests[key]: number for key, number in rows}

    def _add(self, new: Mapping[UUID, Part]) -> None:
        numbers = self._terms.numbers({term for part in new.values() for term in part.terms})
        # In one order in all writers, so that two which add the same parts don't wait for each other.
        keys = sorted(new)
        terms = [sorted(numbers[term] for term in new[key].terms) for key in keys]
        arrays = [array(listed) for listed in terms]
        sort_keys = [json.dumps(dict(new[key].keys), ensure_ascii=False) for key in keys]
        self._connection.execute(_ADD, (keys, arrays, sort_keys))
