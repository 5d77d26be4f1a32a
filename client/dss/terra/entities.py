"""Entities, as Terra calls the rows of its data tables: one for each bundle, and one for each of its files.

A row of table `file` refers to that of its bundle. A file that is in two bundles, or in one under two names,
has a row for each.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dss.api.session import Session
from dss.references import drs_host, drs_uri
from dss.terra.selection import BundlePart, FilePart, Part, Selection

BUNDLE, FILE = "bundle", "file"
# The columns of each table, and the types of their values in Avro. Terra has `name`, `entityType` and
# `TABLE_id` for itself. None looks like an escape of PFB, `_HEX_`.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    BUNDLE: {
        "drs_uri": "string",
        "bundle_uuid": "string",
        "bundle_version": "string",
        "file_count": "long",
        "total_size": "long",
    },
    FILE: {
        "file_name": "string",
        "drs_uri": "string",
        "file_size": "long",
        "content_type": "string",
        "sha256": "string",
        "md5": "string",
        "crc32c": "string",
        "file_uuid": "string",
        "file_version": "string",
    },
}
Value = str | int | None


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A row of a table; `id` is the same whenever the same object is exported.

    `bundle` is the id of the row that a file's row refers to, None for a file outside of any bundle. Sizes
    are in bytes, `sha256` and `md5` in hex, and `crc32c` in Base64, as Google Cloud Storage prints it.
    """

    table: str
    id: str
    values: Mapping[str, Value]
    bundle: str | None = None


def entities(session: Session, selection: Selection) -> Iterator[Entity]:
    """Yield the rows of a selection, each bundle before its files. Raises as `Selection.parts`."""
    host = drs_host(session.url)
    for part in selection.parts(session):
        yield from _entities_of(part, host)


def _entities_of(part: Part, host: str) -> Iterator[Entity]:
    if isinstance(part, FilePart):
        yield _loose_file(part, host)
        return
    bundle = _bundle(part, host)
    yield bundle
    for row in part.files:
        yield _file(row, host, bundle.id)


def _bundle(part: BundlePart, host: str) -> Entity:
    return Entity(
        table=BUNDLE,
        id=_id(part.uuid, part.version),
        values={
            "drs_uri": drs_uri(host, part.uuid, part.version),
            "bundle_uuid": part.uuid,
            "bundle_version": part.version,
            "file_count": len(part.files),
            "total_size": sum(int(row["size"]) for row in part.files),
        },
    )


def _file(row: Mapping[str, Any], host: str, bundle: str) -> Entity:
    values = {**_file_values(row, row["uuid"], row["version"], host), "file_name": row["name"]}
    values |= {"file_size": row["size"], "content_type": row["content-type"]}
    return Entity(table=FILE, id=_file_id(values, bundle), values=values, bundle=bundle)


def _loose_file(part: FilePart, host: str) -> Entity:
    head = part.head
    values = {**_file_values(head.checksums, part.uuid, part.version, host), "file_name": None}
    values |= {"file_size": head.size, "content_type": head.content_type}
    return Entity(table=FILE, id=_file_id(values, ""), values=values)


def _file_values(checksums: Mapping[str, Any], uuid: str, version: str, host: str) -> dict[str, Value]:
    etag = checksums["s3_etag"]
    return {
        "drs_uri": drs_uri(host, uuid, version),
        "sha256": checksums["sha256"],
        # The ETag of an object of several parts is no MD5.
        "md5": None if "-" in etag else etag,
        # In hex it may be all digits, and Terra would read a number.
        "crc32c": base64.b64encode(bytes.fromhex(checksums["crc32c"])).decode(),
        "file_uuid": uuid,
        "file_version": version,
    }


def _id(uuid: str, version: str) -> str:
    """Return an id of what Terra allows everywhere: letters, digits, `_` and `-`, at most 254 of them."""
    return f"{uuid}_{version.replace('.', '_')}"


def _file_id(values: Mapping[str, Value], bundle: str) -> str:
    """Return an id of its own for each place of a file, without a list of those that are taken."""
    place = "\n".join((bundle, str(values["file_version"]), str(values["file_name"] or "")))
    return f"{values['file_uuid']}_{hashlib.sha256(place.encode()).hexdigest()[:16]}"
