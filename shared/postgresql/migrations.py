"""Tables that are made and changed by migrations, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import Connection
from psycopg.errors import UndefinedTable
from psycopg.sql import SQL, Composed, Identifier


@dataclass(frozen=True)
class Migrations:
    """The migrations of some tables: the first process that connects runs each of them once, in this order.

    To change tables, append one, and change none: they have run in some database. Processes of the previous
    release use the tables meanwhile. `table` records which have run; `lock` is an advisory lock's number,
    which nothing else in the database locks.
    """

    table: str
    lock: int
    statements: Sequence[Sequence[LiteralString]]

    def migrate(self, connection: Connection) -> None:
        """Bring the tables to the state of this release. Safe to call from many processes at once.

        Leaves newer tables as they are. Needs the right to create tables only if there is something to do.
        """
        if self._version(connection) >= len(self.statements):
            return
        with connection.transaction():
            # A second process waits here, and then finds it done.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (self.lock,))
            # Creating an index over millions of entries takes longer than the limit of other statements.
            connection.execute("SET LOCAL statement_timeout = 0")
            connection.execute(self._sql("CREATE TABLE IF NOT EXISTS {} (number integer PRIMARY KEY)"))
            for number in range(self._version(connection), len(self.statements)):
                for statement in self.statements[number]:
                    connection.execute(statement)
                connection.execute(self._sql("INSERT INTO {} VALUES (%s)"), (number + 1,))

    def _version(self, connection: Connection) -> int:
        """Return the number of the last migration that has run; 0 for a new database."""
        try:
            row = connection.execute(self._sql("SELECT coalesce(max(number), 0) FROM {}")).fetchone()
        except UndefinedTable:
            return 0
        return int(row[0]) if row else 0

    def _sql(self, statement: LiteralString) -> Composed:
        return SQL(statement).format(Identifier(self.table))
