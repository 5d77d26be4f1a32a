"""What takes longer than a request: workflows, and who starts them."""

from collections.abc import Mapping
from typing import Any, Protocol

# Each has a file of its name in workflows/.
COPY = "copy"
CHECKOUT = "checkout"
ADMINISTER = "administer"


class Workflows(Protocol):
    """Where workflows run."""

    def start(self, workflow: str, argument: Mapping[str, Any]) -> str:
        """Start an execution, and return its name; it is durable when this returns.

        Not safe to repeat by itself: two calls are two executions. Raises Unavailable.
        """
        ...
