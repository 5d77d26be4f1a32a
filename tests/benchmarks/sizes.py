"""How large the parts are. `DSS_BENCH=full` measures at the sizes that the goals are about."""

import os
from typing import TypeVar

Size = TypeVar("Size")
IS_FULL = os.environ.get("DSS_BENCH") == "full"


def sized(full: Size, usual: Size) -> Size:
    """Return a size: the full one, or the usual one."""
    return full if IS_FULL else usual
