"""What takes longer than a request: workflows, and who starts them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# Each has a file of its name in workflows/.
COPY = "copy"
CHECKOUT = "checkout"
ADMINISTER = "administer"


@dataclass(frozen=True)
class Outcome:
    """What has become of an execution: the API's word for its state, and what it failed of, as text."""

    state: str
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Tell whether it has ended, one way or another."""
        return self.state != "ACTIVE"


class Workflows(Protocol):
    """Where workflows run."""

    def start(self, workflow: str, argument: Mapping[str, Any]) -> str:
        """Start an execution, and return its name; it is durable when this returns.

        Not safe to repeat by itself: two calls are two executions. Raises Unavailable.
        """
        ...

    def look(self, execution: str) -> Outcome:
        """Return what has become of an execution by now. Raises Unavailable, and NotFound."""
        ...
