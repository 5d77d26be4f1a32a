"""The memory that processes are deployed with, and which of them take more."""

import re
from collections.abc import Mapping

from local.source_tree import ROOT

_FILES = ("functions.tf", "explore.tf")
# `sync = {`, and the first `memory = "512Mi"` after it.
_FUNCTION = re.compile(r'^    (\w+) = \{$.*?^      memory\s+= "(\d+)(Mi|Gi)"$', re.MULTILINE | re.DOTALL)
_API = re.compile(r'^\s+memory\s+= "(\d+)(Mi|Gi)"$', re.MULTILINE)
_UNITS = {"Mi": 2**20, "Gi": 2**30}


def deployed() -> dict[str, int]:
    """Return the bytes of memory of an instance of the API and of each function, as terraform has them."""
    found = {"api": _API.findall((ROOT / "terraform" / "api.tf").read_text())[0]}
    for file in _FILES:
        for name, *size in _FUNCTION.findall((ROOT / "terraform" / file).read_text()):
            found[name] = tuple(size)
    return {name: int(number) * _UNITS[unit] for name, (number, unit) in found.items()}


def outgrown(largest: Mapping[str, int]) -> list[str]:
    """Return the processes that have taken more than an instance has; `largest` is in bytes, by name."""
    return [
        f"{name} took {largest[name] / 2**20:.0f} MiB, and has {limit / 2**20:.0f}"
        for name, limit in deployed().items()
        if largest.get(name, 0) > limit
    ]
