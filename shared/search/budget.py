"""A budget of processor time for a search: clients are anonymous, queries and documents may be large."""

import time

from shared.errors import IndexQueryRefused


class BudgetSpent(Exception):
    """The work takes more processor time than its budget allows."""


class Budget:
    """Seconds of processor time of the thread that makes it, from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends = time.thread_time() + seconds

    @property
    def remaining(self) -> float:
        """The seconds that are left, at least zero."""
        return max(0.0, self._ends - time.thread_time())

    def check(self) -> None:
        """Raise BudgetSpent if nothing is left."""
        if not self.remaining:
            raise BudgetSpent


class NoLimit(Budget):
    """A budget that is never spent."""

    def __init__(self) -> None:
        super().__init__(float("inf"))


def too_costly(seconds: float) -> IndexQueryRefused:
    """Return the error of a query that takes longer than this to match a single document."""
    return IndexQueryRefused(
        f"es_query: it takes more than {seconds:g} seconds to match one document;"
        " use fewer clauses, or shorter values and patterns"
    )
