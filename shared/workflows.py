"""What takes longer than a request: workflows, and who starts them."""

from collections.abc import Mapping
from typing import Any, Protocol

# Their files are workflows/copy.yaml and workflows/checkout.yaml.
COPY = "copy"
CHECKOUT = "checkout"


class Workflows(Protocol):
    """Where workflows run."""

    def start(self, workflow: str, argument: Mapping[str, Any]) -> str:
        """Start an execution, and return its name; it is durable when this returns.

        Not safe to repeat by itself: two calls are two executions. Raises Unavailable.
        """
        ...
