"""Data of others that is no part of the project: folders and files below `shared/data` beside it.

A clone alone has none; tests that need some are skipped, and say what is missing.
"""

from pathlib import Path

import pytest

_DATA = Path("shared", "data")


def find_beside(name: str) -> Path | None:
    """Return the path of data beside the project, None if it isn't there."""
    found = (folder / _DATA / name for folder in Path(__file__).parents)
    return next((path for path in found if path.exists()), None)


def need_beside(name: str) -> Path:
    """Return the path of data beside the project. Skips the test if it isn't there."""
    path = find_beside(name)
    if path is None:
        pytest.skip(f"needs {_DATA / name} in a folder beside the project")
    return path
