"""The preview of a purge: all that it removes, and all that refers to that."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from shared.catalog import CollectionHead, PagedFile
from shared.catalog.bundles import PAGE_FILES
from shared.errors import CatalogBroken
from shared.identifiers import Fqid, event_ids
from shared.parallel import map_in_threads
from shared.system import Dss

Line = Mapping[str, Any]
# Bundles whose files are read at once, and files for which it is looked up who names them.
_AT_ONCE = 8


class Subject:
    """What is to be purged: a version, or a UUID with all versions if `version` is empty.

    `files` are the FQIDs of the file versions, and `bundles` those of the bundle versions.
    """

    def __init__(self, dss: Dss, uuid: str, version: str) -> None:
        self._dss = dss
        self.uuid, self.version = uuid, version
        self._files = [one for one in dss.catalog.files.versions(uuid) if self._covers(one.fqid)]
        self._bundles = [one for one in dss.catalog.bundles.versions(uuid) if self._covers(one.fqid)]
        self._collections = [one for one in dss.catalog.collections.versions(uuid) if self._covers(one.fqid)]
        self.bundles = [head.fqid for head in self._bundles]

    def _covers(self, fqid: Fqid) -> bool:
        return self.version in ("", fqid.version)

    @property
    def is_known(self) -> bool:
        """Whether the catalog knows anything of it."""
        return bool(self._files or self._bundles or self._collections)

    def removed(self) -> Iterator[Line]:
        """Yield a line for each version that is removed, and for what is made of it."""
        for record in self._files:
            kept = _others(self._dss, record.checksums.blob_key, {file.fqid for file in self._files})
            also = {"content": f"stays: {kept} has it too"} if kept else {}
            yield {"removes": f"files/{record.fqid}", "bytes": record.size, **also}
        for head in self._bundles:
            yield {"removes": f"bundles/{head.fqid}", "files": head.file_count}
            yield from self._published(head.fqid)
        for collection in self._collections:
            yield {"removes": f"collections/{collection.fqid}", "items": collection.item_count}

    def _published(self, fqid: Fqid) -> Iterator[Line]:
        catalog = self._dss.catalog
        for event in catalog.events.get_many(event_ids(self._dss.replicas.names, fqid)).values():
            yield {"document": str(fqid), "event": event.type, "replica": event.replica}
            yield {"search_entry": str(fqid), "replica": event.replica}
            if journal := catalog.journals.holding(event.replica, event.timestamp):
                yield {"journal": journal.key, "bytes": event.size, "replica": event.replica}

    def referring(self) -> Iterator[Line]:
        """Yield a line for each bundle that names a file, and for each checkout."""
        for fqid in sorted(naming(self._dss, self.uuid, self.version)):
            yield {"names_a_file": f"bundles/{fqid}"}
        for job in self._dss.catalog.checkouts.of_uuid(self.uuid):
            if self._covers(job.order.fqid):
                where = {"location": job.location, "bucket": job.order.bucket}
                if job.order.bucket in {replica.checkout_bucket for replica in self._dss.replicas}:
                    yield {"shared_checkout": str(job.order.fqid), **where, "copy": "removed"}
                else:
                    yield {"checkout": str(job.order.fqid), **where, "copy": "not touched: it is not ours"}

    def links_in(self, head: CollectionHead) -> bool:
        """Return whether a version of a collection links to what is purged; a read for each of its pages."""
        uuid = f'"uuid":"{self.uuid}"'.encode()
        try:
            pages = list(self._dss.catalog.collections.pages(head))
        except CatalogBroken:
            return False
        return head.fqid.uuid != self.uuid and any(
            uuid in line and self._covers(Fqid(self.uuid, json.loads(line).get("version", "")))
            for page in pages
            for line in page.split(b"\n")
        )

    def files_of_bundles(self) -> Iterator[Line]:
        """Yield a line for each file version of the bundles, and whether other bundles name it too."""
        own = set(self.bundles)
        files = sorted(
            {Fqid(file.uuid, file.version) for bundle in own for file in files_of(self._dss, bundle)}
        )

        def line(file: Fqid) -> Line:
            others = sorted(naming(self._dss, file.uuid, file.version) - own)
            if others:
                return {"keeps_file": str(file), "why": f"bundle {others[0]} names it too"}
            return {"with_file": str(file)}

        yield from map_in_threads(line, files, threads=_AT_ONCE)


def naming(dss: Dss, uuid: str, version: str) -> set[Fqid]:
    """Return the bundle versions that name a file version, or any version if it is empty."""
    found = set(dss.catalog.bindings.bundles_with_file(uuid))
    if not version:
        return found
    named = map_in_threads(partial(_names, dss, Fqid(uuid, version)), sorted(found), threads=_AT_ONCE)
    return {bundle for bundle in named if bundle}


def _names(dss: Dss, file: Fqid, bundle: Fqid) -> Fqid | None:
    files = files_of(dss, bundle)
    return bundle if any((one.uuid, one.version) == (file.uuid, file.version) for one in files) else None


def files_of(dss: Dss, bundle: Fqid) -> Iterator[PagedFile]:
    """Yield the files of a bundle version; one read for each page."""
    head = dss.catalog.bundles.head(bundle)
    for start in range(0, head.file_count if head else 0, PAGE_FILES):
        if head:
            yield from dss.catalog.bundles.files(head, start, PAGE_FILES)


def _others(dss: Dss, blob: str, own: set[Fqid]) -> Fqid | None:
    """Return a file version that is not among some, and has a blob; None if there is none."""
    sha256 = blob.partition("/")[2].partition(".")[0]
    for record in dss.catalog.scan.of_content(sha256):
        if record.checksums.blob_key == blob and record.fqid not in own:
            return record.fqid
    return None
