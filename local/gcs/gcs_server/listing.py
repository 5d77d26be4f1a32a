"""List a bucket: names in UTF-8 order, common prefixes, pages."""

import base64
import binascii
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field

from gcs_server.buckets import open_bucket
from gcs_server.database import Database
from gcs_server.errors import BadRequest
from gcs_server.resources import COLUMNS, ObjectRecord

# https://cloud.google.com/storage/docs/json_api/v1/objects/list: items and prefixes of one page
PAGE_LIMIT = 1000
_LAST_BEFORE_SURROGATES, _FIRST_AFTER_SURROGATES = 0xD7FF, 0xE000
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The parameters of a list; names are compared as UTF-8."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    trailing: bool = False
    limit: int = PAGE_LIMIT


@dataclass
class ListPage:
    """Objects and common prefixes, each in order, and the token of the next page, if there is one."""

    items: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str = ""

    def __len__(self) -> int:
        return len(self.items) + len(self.prefixes)


def list_objects(database: Database, bucket: str, selection: Selection, token: str = "") -> ListPage:
    """Return a page of the bucket's objects. Raises BucketNotFound, Forbidden, BadRequest for a bad token."""
    lower = max(selection.prefix, selection.start, position_of(token))
    bounds = [bound for bound in (following(selection.prefix), selection.end) if bound]
    upper = min(bounds) if bounds else ""
    with database.read() as connection:
        open_bucket(connection, bucket, "read")
        return _fill(connection, bucket, selection, lower, upper)


def following(prefix: str) -> str:
    """Return the least text greater than every text with the prefix; empty if there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < _LAST_CODE_POINT:
            later = _FIRST_AFTER_SURROGATES if last == _LAST_BEFORE_SURROGATES else last + 1
            return prefix[:-1] + chr(later)
        prefix = prefix[:-1]
    return ""


def _fill(
    connection: sqlite3.Connection, bucket: str, selection: Selection, lower: str, upper: str
) -> ListPage:
    page = ListPage()
    while True:
        for found in _rows(connection, bucket, lower, upper):
            if len(page) >= selection.limit:
                page.token = page_token(found.name)
                return page
            shared = _common_prefix(found.name, selection)
            if not shared or (selection.trailing and found.name == shared):
                page.items.append(found)
            if shared:
                page.prefixes.append(shared)
                lower = following(shared)
                break
        else:
            return page
        if not lower:
            return page


def _rows(connection: sqlite3.Connection, bucket: str, lower: str, upper: str) -> Iterator[ObjectRecord]:
    query = (
        f"SELECT {COLUMNS} FROM objects "
        f"WHERE bucket = ? AND name >= ? {'AND name < ?' if upper else ''} ORDER BY name"
    )
    cursor = connection.execute(query, (bucket, lower, upper) if upper else (bucket, lower))
    try:
        for row in cursor:
            yield ObjectRecord.from_row(row)
    finally:
        cursor.close()


def _common_prefix(name: str, selection: Selection) -> str:
    if not selection.delimiter:
        return ""
    position = name.find(selection.delimiter, len(selection.prefix))
    return "" if position < 0 else name[: position + len(selection.delimiter)]


def page_token(position: str) -> str:
    """Return the token of the page that begins at a name."""
    return base64.urlsafe_b64encode(position.encode()).decode()


def position_of(token: str) -> str:
    """Return the name at which a token's page begins. Raises BadRequest."""
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (ValueError, binascii.Error) as error:
        raise BadRequest(f"Invalid pageToken: '{token}'") from error
