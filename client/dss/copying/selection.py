"""Which bundles are copied: those that are named, those of a table, or all of the source."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from dss.errors import InvalidInput
from dss.identifiers import check_uuid, check_version
from dss.references import Reference

_COLUMNS = ("bundle_uuid", "bundle_version")
_HEX = re.compile(r"[0-9a-f-]{0,36}")
# Rows that an error names; a table with more of them is another kind of table.
_MOST_WRONG = 10


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What the UUIDs of the bundles to copy begin and end with, in hex digits and dashes; empty for any."""

    prefix: str = ""
    suffix: str = ""

    def __post_init__(self) -> None:
        """Take either case. Raises InvalidInput for what no UUID begins or ends with."""
        for name in ("prefix", "suffix"):
            text = getattr(self, name).lower()
            if not _HEX.fullmatch(text):
                raise InvalidInput(f"--{name}: {text[:80]!r} is no part of a UUID: hex digits and dashes")
            object.__setattr__(self, name, text)

    def take(self, uuid: str) -> bool:
        """Return whether a bundle with this UUID is copied."""
        return uuid.startswith(self.prefix) and uuid.endswith(self.suffix)


def chosen(bundles: Iterable[Reference], ends: Ends) -> list[Reference]:
    """Return the bundles to copy, each once, in the order in which they are first named."""
    return list(dict.fromkeys(bundle for bundle in bundles if ends.take(bundle.uuid)))


def bundles_in(table: TextIO) -> list[Reference]:
    """Return the bundles that a TSV names in its columns bundle_uuid and bundle_version, each once.

    It may have others, as a compact manifest has. Raises InvalidInput, which names the columns that it lacks,
    or the lines that name no bundle.
    """
    wrong: list[str] = []
    found: dict[Reference, None] = {}
    try:
        # csv.DictReader would take fields that are too many, and quotes have no meaning in some manifests.
        rows = csv.DictReader(table, delimiter="\t", restval="")
        header = [name.removeprefix("\ufeff") for name in rows.fieldnames or ()]
        missing = [name for name in _COLUMNS if name not in header]
        if missing:
            has = ", ".join(name[:40] for name in header[:20]) or "none"
            raise InvalidInput(f"{table.name}: no column {' and no column '.join(missing)}; it has: {has}")
        rows.fieldnames = header
        for row in rows:
            try:
                uuid = check_uuid(row["bundle_uuid"].strip(), "bundle_uuid")
                version = check_version(row["bundle_version"].strip(), "bundle_version")
                found[Reference(uuid=uuid, version=version)] = None
            except InvalidInput as error:
                wrong.append(f"line {rows.line_num}: {error}")
                if len(wrong) > _MOST_WRONG:
                    break
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{table.name}: not a TSV in UTF-8: {error}") from error
    if wrong:
        more = [f"… and more than {_MOST_WRONG} lines in all"] if len(wrong) > _MOST_WRONG else []
        raise InvalidInput(f"{table.name}: " + "; ".join([*wrong[:_MOST_WRONG], *more]))
    return list(found)


def check_distinct(bundles: Sequence[Reference]) -> None:
    """Raise InvalidInput if there are two versions of one bundle, which would become one version."""
    versions = defaultdict(list)
    for bundle in bundles:
        versions[bundle.uuid].append(bundle.version or "the newest")
    for uuid, several in versions.items():
        if len(several) > 1:
            raise InvalidInput(
                f"bundle {uuid} is named in {len(several)} versions ({', '.join(several[:3])}), which would "
                "get one and the same: copy one of them, or use --keep-version or --map-version"
            )
