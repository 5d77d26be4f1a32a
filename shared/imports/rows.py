"""What is to be imported, object by object, as it is kept between the steps of an import."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from shared.catalog import FileRecord, ImportOrder
from shared.errors import InvalidChecksum
from shared.identifiers import Fqid, check_file_name
from shared.imports.rules import file_uuid, file_version, is_metadata, shard_of
from shared.sources import check_content_type
from shared.stores.base import StoredObject

_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Row:
    """An object as it was listed, its name in a bundle, and the file version that it becomes.

    `where` is its line in a table, or empty. `checksums` are what its store vouched for then.
    """

    url: str
    bundle: str
    name: str
    where: str
    size: int
    revision: str
    content_type: str
    version: str
    indexed: bool
    md5: str | None = None
    crc32c: str | None = None

    def fqid(self, order: ImportOrder) -> Fqid:
        """The file version that it becomes."""
        return Fqid(file_uuid(order.owner_group, self.url), self.version)

    def file_type(self, found: StoredObject) -> str:
        """Return the content type of the file: the object's own, or that of JSON if it is to be indexed."""
        if self.indexed and not found.content_type.startswith(_JSON):
            return _JSON
        return found.content_type

    def is_content_of(self, record: FileRecord) -> bool:
        """Return whether a file version can be of this object, by all that its store vouched for."""
        known = StoredObject(
            bucket="",
            key="",
            size=self.size,
            content_type="",
            revision="",
            md5=self.md5,
            crc32c=self.crc32c,
        )
        try:
            known.check(record.checksums)
        except InvalidChecksum:
            return False
        return record.size == self.size

    @property
    def label(self) -> str:
        """How reports name it."""
        return f"{self.where}: {self.url}" if self.where else self.url

    def as_line(self) -> bytes:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of_line(cls, line: bytes) -> "Row":
        """Return the row of a line."""
        return cls(**json.loads(line))


def row_of(order: ImportOrder, url: str, found: StoredObject, bundle: str, name: str, where: str = "") -> Row:
    """Return the row of an object that was described.

    Raises IllegalArguments if it can't have the name, and Unprocessable if its content type isn't one.
    """
    check_file_name(name)
    check_content_type(found.content_type)
    assert found.written is not None  # as stores describe objects
    return Row(
        url=url,
        bundle=bundle,
        name=name,
        where=where,
        size=found.size,
        revision=found.revision,
        content_type=found.content_type,
        version=file_version(found.written, found.revision),
        indexed=is_metadata(name, order.metadata),
        md5=found.md5,
        crc32c=found.crc32c,
    )


def failure(what: str, reason: str, *, code: str = "", kind: str = "object") -> dict[str, Any]:
    """Return a line of a report about what did not go in, and why."""
    return {kind: what, "failed": reason, **({"code": code} if code else {})}


def shard(row: Row) -> int:
    """Return the shard of a row."""
    return shard_of(row.bundle)
