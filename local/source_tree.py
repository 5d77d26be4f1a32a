"""The packages of this checkout, for processes started from it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The client, the GCS server and the workflows server are distributions of their own.
PACKAGE_ROOTS = (ROOT, ROOT / "client", ROOT / "local" / "gcs", ROOT / "local" / "workflows")


def python_path(*others: str) -> str:
    """Return a PYTHONPATH with this checkout's packages first, then `others`."""
    return os.pathsep.join(filter(None, (*map(str, PACKAGE_ROOTS), *others)))
