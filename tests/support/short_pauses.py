"""Retries that come soon: short pauses of the system, and of its clients of the clouds, in this process."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

# How long a pause is, as a part of what it is in earnest.
_PACE = 0.02
# Where the system, boto3 and the clients of Google pause before they try again.
_MODULES = (
    "shared.clock",
    "botocore.endpoint",
    "google.api_core.retry.retry_unary",
    "google.api_core.retry.retry_streaming",
)


class _ShortTime:
    """The module `time`, with short pauses."""

    def sleep(self, seconds: float) -> None:
        """Pause for a part of the seconds."""
        time.sleep(seconds * _PACE)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextmanager
def short_pauses() -> Iterator[None]:
    """Meanwhile, retries are as many as ever, and a fiftieth as far apart."""
    with ExitStack() as patches:
        for module in _MODULES:
            patches.enter_context(mock.patch(f"{module}.time", _ShortTime()))
        yield
