"""The settings that have no default, with a value of no meaning."""

from dataclasses import MISSING, fields

from shared.config import Settings

REQUIRED = {
    row.metadata["name"]: "x"
    for row in fields(Settings)
    if row.default is MISSING and row.default_factory is MISSING
}
