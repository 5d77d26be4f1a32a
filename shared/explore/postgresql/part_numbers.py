"""Numbers of the combinations of terms that documents have of one group of facets.

Few of them occur, because the facets of a group describe one thing: all files of a project have its title,
its laboratories and its publications.
"""

import json
from collections.abc import Mapping

from psycopg import Connection

from shared.explore.postgresql.term_numbers import TermNumbers, array, digest, text_array
from shared.explore.rows import Part
from shared.postgresql.connections import Connections

_FIND = """
    SELECT wanted.place, part.number FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (digest, place)
    JOIN dss_explore_parts AS part ON part.digest = wanted.digest
"""
_ADD = """
    INSERT INTO dss_explore_parts (digest, terms, keys)
    SELECT digest, terms::integer[], keys::jsonb
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS new (digest, terms, keys)
    ON CONFLICT DO NOTHING
"""


class PartNumbers:
    """The numbers of parts, as one transaction needs them; see `TermNumbers`."""

    def __init__(self, connection: Connection, adding: Connections) -> None:
        self._connection = connection
        self._adding = adding
        self._terms = TermNumbers(connection, adding)

    def numbers(self, parts: set[Part]) -> dict[Part, int]:
        """Return the numbers of parts, each of which gets one if it has none."""
        digests = {digest(repr(sorted(part.terms))): part for part in parts}
        found = self._find(digests)
        if len(found) < len(parts):
            new = {key: part for key, part in digests.items() if part not in found}
            self._add(new)
            found |= self._find(new)
        return found

    def _find(self, digests: Mapping[str, Part]) -> dict[Part, int]:
        parts = list(digests.values())
        rows = self._connection.execute(_FIND, (array(digests),))
        return {parts[place - 1]: number for place, number in rows}

    def _add(self, new: Mapping[str, Part]) -> None:
        numbers = self._terms.numbers({term for part in new.values() for term in part.terms})
        # In one order in all writers, so that two which add the same parts don't wait for each other.
        keys = sorted(new)
        terms = [sorted(numbers[term] for term in new[key].terms) for key in keys]
        arrays = [array(listed) for listed in terms]
        sort_keys = [json.dumps(dict(new[key].keys), ensure_ascii=False) for key in keys]
        columns = array(keys), text_array(arrays), text_array(sort_keys)
        with self._adding.connection() as connection:
            connection.execute(_ADD, columns)
