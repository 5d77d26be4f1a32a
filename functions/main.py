"""The entry points of all functions, for `functions-framework --source functions/main.py --target NAME`.

Looking an entry point up imports its module: so a process imports what its own function needs, and no more.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from functions.config import let_idle_workers_live, refuse_wrong_settings

# Entry points, and the modules that they are in.
ENTRY_POINTS: Mapping[str, str] = {
    "administer": "functions.administer",
    "checkout": "functions.checkout",
    "compact": "functions.compact",
    "copy": "functions.copy",
    "deliver": "functions.deliver",
    "explore": "functions.explore",
    "importer": "functions.importer",
    "index": "functions.index",
    "manifest": "functions.manifest",
    "notify": "functions.notify",
    "redeliver": "functions.deliver",
    "s3_events": "functions.s3_events",
    "sweep": "functions.sweep",
    "sync": "functions.sync",
}

let_idle_workers_live()
refuse_wrong_settings()


def __getattr__(name: str) -> Any:
    """Return an entry point, from its module."""
    if name not in ENTRY_POINTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(ENTRY_POINTS[name]), name)


def import_all() -> None:
    """Import the modules of all functions, for a process that forks others."""
    for module in ENTRY_POINTS.values():
        importlib.import_module(module)
