"""Numbers of audiences in the tables, and which of them a reader belongs to."""

import json

from psycopg import Connection
from psycopg.rows import TupleRow

from shared.explore.audiences import Audience, Labels
from shared.postgresql.connections import Connections

_FIND = "SELECT number FROM dss_explore_audiences WHERE shown = %s::jsonb AND hidden = %s::jsonb"
_ADD = """
    INSERT INTO dss_explore_audiences (shown, hidden) VALUES (%s::jsonb, %s::jsonb)
    RETURNING number
"""
# So that no audience gets two numbers.
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
# A number that nothing else in the database locks: the bytes of "dss3".
_LOCK_NUMBER = 0x64737333
_ALL = "SELECT number, shown, hidden FROM dss_explore_audiences"


def encode_labels(labels: Labels) -> str:
    """Return labels as text, equal for equal labels alone."""
    return json.dumps(sorted(labels))


def decode_labels(text: str) -> Labels:
    """Return the labels of a text that `encode_labels` has made."""
    return frozenset(json.loads(text))


class AudienceNumbers:
    """The numbers of audiences, as one transaction needs them; new ones are added by themselves."""

    def __init__(self, connection: Connection, adding: Connections) -> None:
        self._connection = connection
        self._adding = adding
        self._known: dict[Audience, int] = {}

    def number(self, audience: Audience) -> int:
        """Return the number of an audience, which gets one if it has none."""
        if audience not in self._known:
            values = _encode(audience.shown), _encode(audience.hidden)
            row = self._connection.execute(_FIND, values).fetchone() or self._add(values)
            self._known[audience] = row[0]
        return self._known[audience]

    def _add(self, values: tuple[str, str]) -> TupleRow:
        with self._adding.connection() as connection, connection.transaction():
            connection.execute(_LOCK, (_LOCK_NUMBER,))
            # Another writer may have added it.
            row = connection.execute(_FIND, values).fetchone() or connection.execute(_ADD, values).fetchone()
        assert row is not None
        return row


def all_labels(connection: Connection) -> Labels:
    """Return all labels of all audiences: no other one makes a difference to what a reader finds."""
    rows = connection.execute(_ALL).fetchall()
    return frozenset(label for _, *both in rows for listed in both for labels in listed for label in labels)


def numbers_of_reader(connection: Connection, sought: Labels | None) -> list[int]:
    """Return the numbers of the audiences that somebody who looks up some labels belongs to.

    None is an admin, from whom nothing is hidden: so each entity has one of these audiences at most.
    """
    rows = connection.execute(_ALL).fetchall()
    known = ((number, Audience(_decode(shown), _decode(hidden))) for number, shown, hidden in rows)
    return sorted(
        number
        for number, audience in known
        if (not audience.hidden if sought is None else audience.includes(sought))
    )


def _encode(label_sets: frozenset[Labels]) -> str:
    return json.dumps(sorted(sorted(labels) for labels in label_sets))


def _decode(listed: list[list[str]]) -> frozenset[Labels]:
    return frozenset(frozenset(labels) for labels in listed)
