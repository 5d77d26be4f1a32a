"""Waiting for conditions, with deadlines.

Tests say how many seconds something takes at most on a machine that runs nothing else. Deadlines are SLOWNESS
times as far away, so that a busy machine only makes the tests slower.
"""

import time
from collections.abc import Callable
from typing import Any

SLOWNESS = 4.0
# Seconds between two looks: a twentieth of what was waited. A look is often a request, which takes CPU time
# from what is waited for.
_SHORTEST, _LONGEST, _SHARE = 0.02, 0.1, 0.05


def deadline_after(seconds: float) -> float:
    """Return the deadline for what takes at most `seconds`, by the monotonic clock."""
    return time.monotonic() + SLOWNESS * seconds


def wait_until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = 60.0) -> Any:
    """Return the result of the condition once it is true; fail with `what` after SLOWNESS times `seconds`."""
    began, deadline = time.monotonic(), deadline_after(seconds)
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SLOWNESS * seconds} s: {what() if callable(what) else what}")
        time.sleep(min(max(_SHORTEST, _SHARE * (time.monotonic() - began)), _LONGEST))
    return result
