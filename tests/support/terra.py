"""What Terra does with the tables and exports that its users give it, as far as its source tells.

Written from the sources of firecloud-orchestration (TSV) and import-service (PFB), 2024. Terra itself was not
reached.
"""

import csv
import io
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fastavro
import requests

_ROW_ID = re.compile(r"[A-Za-z0-9_.-]{1,254}")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_INTEGER = re.compile(r"[+-]?\d{1,10}")
# java.lang.Double.parseDouble, without infinities
_FLOAT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[fFdD]?\s*")
_LARGEST_BYTES = 2 * 1024**3


class Refused(Exception):
    """Terra refuses a file; the text says why."""


@dataclass(frozen=True)
class Reference:
    """A reference to a row of a table."""

    table: str
    id: str


@dataclass
class Workspace:
    """The data tables of a workspace: for each table its rows by id, each a dictionary of its cells."""

    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))

    def upload(self, tsv: bytes) -> None:
        """Take a data table. Raises Refused."""
        # Terra parses CSV with tabs between the cells; quotes count.
        rows = list(csv.reader(io.StringIO(tsv.decode("utf-8"), newline=""), delimiter="\t", strict=True))
        header = re.fullmatch(r"(?:entity:)?([A-Za-z0-9_-]+)_id", rows[0][0]) if rows else None
        if not header:
            raise Refused(f"the first header is no entity:TABLE_id: {rows[:1]}")
        columns, table = rows[0][1:], header[1]
        if len(set(columns)) < len(columns) or not all(map(_is_attribute(table), columns)):
            raise Refused(f"headers that can't be attributes: {columns}")
        ids = [row[0] for row in rows[1:]]
        if len(set(ids)) < len(ids) or not all(map(_ROW_ID.fullmatch, ids)):
            raise Refused("ids that are there twice, or are no ids")
        for row in rows[1:]:
            if len(row) != len(rows[0]):
                raise Refused(f"wrong number of fields: {row}")
            cells = {column: _typed(text) for column, text in zip(columns, row[1:], strict=True) if text}
            self._check_references(cells.values())
            self.tables[table][row[0]] = cells

    def import_link(self, link: str) -> None:
        """Import what a link of another site names. Raises Refused."""
        fragment = urlsplit(link).fragment
        path, _, query = fragment.partition("?")
        fields = {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}
        if path != "import-data" or fields.get("format", "bagit").lower() != "pfb":
            raise Refused(f"no import of a PFB: {link}")
        self._import(_fetched(fields["url"]))

    def _import(self, content: bytes) -> None:
        records = fastavro.reader(io.BytesIO(content))
        first: Any = next(iter(records), None)
        if not first or first["name"] != "Metadata" or first["id"] is not None:
            raise Refused("the first record is not the metadata")
        for record in records:
            self._take(record)

    def _take(self, record: Any) -> None:
        table, name = record["name"], record["id"]
        if not isinstance(name, str) or not 0 < len(name) <= 254:
            raise Refused(f"an id that is none: {name!r}")
        if name in self.tables[table]:
            raise Refused(f"{table} {name} is there twice")
        cells = {f"pfb:{column}": value for column, value in record["object"].items() if value is not None}
        relations = {
            f"pfb:{one['dst_name']}": Reference(one["dst_name"], one["dst_id"]) for one in record["relations"]
        }
        self._check_references(relations.values())
        self.tables[table][name] = {**cells, **relations}

    def _check_references(self, values: Any) -> None:
        for value in values:
            if isinstance(value, Reference) and value.id not in self.tables[value.table]:
                raise Refused(f"{value} is not there yet")


def _is_attribute(table: str) -> Any:
    reserved = {"name", "entityType", f"{table}_id"}
    return lambda name: _ATTRIBUTE.fullmatch(name) and name not in reserved


def _typed(text: str) -> Any:
    """Return what a cell is taken for."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text.strip().rstrip("fFdD"))
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    if isinstance(parsed, list):
        return parsed
    return Reference(parsed["entityType"], parsed["entityName"]) if isinstance(parsed, dict) else text


def _fetched(url: str) -> bytes:
    """Return what is at a URL, as the import fetches it: its size first, by a range of one byte."""
    probe = requests.get(url, headers={"Range": "bytes=0-0"}, timeout=60)
    size = re.fullmatch(r"bytes 0-0/(\d+)", probe.headers.get("Content-Range", ""))
    if probe.status_code != 206 or not size:
        raise Refused(f"the file is too big, or its server serves no ranges: {probe.status_code}")
    if int(size[1]) >= _LARGEST_BYTES:
        raise Refused("the file is too big")
    answer = requests.get(url, timeout=60)
    if answer.status_code != 200:
        raise Refused(f"{answer.status_code} {answer.text[:200]}")
    return answer.content
