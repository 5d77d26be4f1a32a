"""Objects in the form of DRS: JSON without nulls, with times in RFC 3339."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from run.drs.access_methods import methods_of
from shared.catalog import FileRecord
from shared.drs.contents import Contents, Item
from shared.drs.objects import BundleObject, CollectionObject, DataObject, FileObject
from shared.drs.totals import CollectionTotals
from shared.identifiers import Fqid, Kind
from shared.system import Dss
from shared.totals import Total


@dataclass(frozen=True, kw_only=True)
class Forms:
    """The forms of the objects in one answer, with the contents that were read.

    With `expand` these are within each other; without it some may have been asked for beside each other. The
    access methods of the replica `first` come first, if there is one.
    """

    dss: Dss
    base_url: str
    contents: Contents
    totals: CollectionTotals
    expand: bool
    first: str | None = None

    def of(self, found: DataObject) -> dict[str, Any]:
        """Return an object. A total that is not known yet is computed; raise as `CollectionTotals`."""
        match found:
            case BundleObject():
                return self._container(found, self.contents.totals[found.fqid])
            case CollectionObject():
                return self._container(found, self.totals.of(found))
            case FileObject(record=record):
                return self._file(record)
        raise TypeError(f"{found}: no object of DRS")

    def _file(self, record: FileRecord) -> dict[str, Any]:
        total = Total.of_content(record.size, record.checksums)
        return {
            **self._common(record.fqid, total.size, {**total.checksums, "etag": record.checksums.s3_etag}),
            "mime_type": record.content_type,
            "access_methods": methods_of(self.dss.replicas, record, first=self.first),
        }

    def _container(self, found: DataObject, total: Total) -> dict[str, Any]:
        return {
            **self._common(found.fqid, total.size, total.checksums),
            "contents": self._contents(found.fqid),
        }

    def _contents(self, fqid: Fqid) -> list[dict[str, Any]]:
        return [self._item(item) for item in self.contents.items[fqid]]

    def _item(self, item: Item) -> dict[str, Any]:
        form: dict[str, Any] = {
            "name": item.name,
            "id": str(item.fqid),
            "drs_uri": [f"{self._authority}{item.fqid}"],
        }
        if self.expand and item.kind is not Kind.FILE and item.fqid in self.contents.items:
            form["contents"] = self._contents(item.fqid)
        return form

    @cached_property
    def _authority(self) -> str:
        # Without a port: DRS allows none.
        return f"drs://{urlsplit(self.base_url).hostname}/"

    def _common(self, fqid: Fqid, size: int, checksums: Mapping[str, str]) -> dict[str, Any]:
        created = time_of(fqid.version)
        return {
            "id": str(fqid),
            # A file has no name of its own, only one in each bundle.
            "name": fqid.uuid,
            "self_uri": f"{self._authority}{fqid}",
            "size": size,
            "created_time": created,
            "updated_time": created,
            "version": fqid.version,
            "checksums": [{"type": name, "checksum": checksum} for name, checksum in checksums.items()],
        }


def time_of(version: str) -> str:
    """Return a version as a time in RFC 3339."""
    return f"{version[:13]}:{version[13:15]}:{version[15:]}"
