"""Writes docs/settings.md from the table in shared/config.py: `python -m tests.support.settings_page`."""

from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from shared.config import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD = """\
# Settings

A process of the system reads these variables from its environment, once, when it starts. `make settings`
writes this page from `shared/config.py`. The SDKs read more of them: `STORAGE_EMULATOR_HOST`,
`FIRESTORE_EMULATOR_HOST`, `PUBSUB_EMULATOR_HOST`, `AWS_ENDPOINT_URL`, `AWS_DEFAULT_REGION` and credentials.

| name | default | meaning |
| --- | --- | --- |
"""


def page() -> str:
    """Return the page as it should be."""
    rows = (
        f"| `{row.metadata['name']}` | {_default(row)} | {row.metadata['help']} |\n"
        for row in fields(Settings)
    )
    return _HEAD + "".join(rows)


def _default(row: "Field[Any]") -> str:
    if row.default_factory is not MISSING:
        return "`{}`"
    if row.default is MISSING:
        return "required"
    shown = ", ".join(row.default) if isinstance(row.default, tuple) else str(row.default)
    return f"`{shown}`" if shown else ""


if __name__ == "__main__":
    PAGE.write_text(page())
