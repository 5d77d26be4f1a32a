"""Workflows, for work that takes longer than a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# Each has a file of its name in workflows/.
COPY = "copy"
CHECKOUT = "checkout"
ADMINISTER = "administer"
MANIFEST = "manifest"
IMPORT = "import"


@dataclass(frozen=True)
class Outcome:
    """The outcome of an execution: its state in the API's words, and the error it failed with, as text."""

    state: str
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in any state."""
        return self.state != "ACTIVE"


class Workflows(Protocol):
    """A service that runs workflows."""

    def start(self, workflow: str, argument: Mapping[str, Any]) -> str:
        """Start an execution, and return its name; it is durable when this returns.

        Not safe to repeat by itself: two calls are two executions. Raises Unavailable.
        """
        ...

    def look(self, execution: str) -> Outcome:
        """Return the present outcome of an execution. Raises Unavailable, and NotFound."""
        ...
