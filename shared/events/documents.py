"""Metadata documents: what a bundle version is, as its events tell it, with the content of its JSON files.

A document is made of what never changes, and written in one form, so that it is the same bytes whenever and
from whichever replica it is made. It is kept as an object beside the bundle's manifest.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from shared.catalog import BundleHead
from shared.checksums import MIB, Checksums
from shared.errors import InvalidChecksum, NotYetThere, ObjectNotFound
from shared.identifiers import Fqid, Kind, document_key, manifest_key
from shared.manifests import digest, encode, read_required, tombstone_document, write_once
from shared.metadata import CREATE, TOMBSTONE, group_name, is_json
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.stores.base import read_all
from shared.system import Dss

# What of a bundle's files goes into its document: files of at most so many bytes each, and in all. A document
# is read, matched and indexed as a whole. Parsed, metadata of real bundles was measured to take twice its
# size in memory; a list of empty lists takes twenty times. These are no settings: a document must not depend
# on the process that makes it.
MOST_FILE_BYTES = 4 * MIB
MOST_BYTES = 16 * MIB
_AT_ONCE = 16
# Lists and objects within each other. Parsers and index back ends have bounds of their own, all above this.
MOST_DEPTH = 100


def read_document(dss: Dss, replica: str, fqid: Fqid, *, dead: bool) -> bytes:
    """Return the document of an event that was told, as it was told. Raises NotYetThere where it was not."""
    return read_required(dss.replicas.named(replica), document_key(fqid, dead=dead))


def document_of(dss: Dss, replica: Replica, head: BundleHead) -> bytes:
    """Return the document of a bundle version that is, or was, visible on a replica; kept or made now.

    That of its tombstone where it is hidden. Raises Unavailable where a store fails.
    """
    try:
        return read_all(replica.store, replica.bucket, document_key(head.fqid, dead=head.hidden))
    except ObjectNotFound:
        return make_document(dss, replica, head, dead=head.hidden)


def keep_document(dss: Dss, replica: Replica, head: BundleHead, *, dead: bool) -> bytes:
    """Return the document of a bundle version, or of its tombstone, and have it kept on the replica.

    Safe to repeat: what is kept is not made again. Raises as `document_of`.
    """
    key = document_key(head.fqid, dead=dead)
    try:
        return read_all(replica.store, replica.bucket, key)
    except ObjectNotFound:
        content = make_document(dss, replica, head, dead=dead)
    write_once(replica, key, content)
    return content


def make_document(dss: Dss, replica: Replica, head: BundleHead, *, dead: bool) -> bytes:
    """Return the document of a bundle version, or of its tombstone, made of what a replica has.

    Keeps nothing. Raises NotYetThere where the replica lacks some of that, and InvalidChecksum where
    its manifest is another.
    """
    return _tombstone(dss, head) if dead else _bundle(replica, head)


def _tombstone(dss: Dss, head: BundleHead) -> bytes:
    uuid, _, version = head.hidden_by.partition(".")
    known = dss.catalog.scan.tombstone(uuid, version or None)
    if known is None:
        raise NotYetThere(f"bundle {head.fqid}: the tombstone that hid it is not known")
    return encode({**_heading(TOMBSTONE, head.fqid), **tombstone_document(known.tombstone)})


def _bundle(replica: Replica, head: BundleHead) -> bytes:
    key = manifest_key(Kind.BUNDLE, head.fqid)
    encoded = read_required(replica, key)
    if digest(encoded) != head.digest:
        raise InvalidChecksum(f"{key}: replica {replica.name} has other content than the catalog says")
    manifest = json.loads(encoded)
    groups: dict[str, list[Any]] = {}
    left_out = []
    wanted = list(_chosen(manifest["files"]))
    work = partial(_content, replica)
    for (file, why), (content, fault) in zip(
        wanted, map_in_threads(work, wanted, threads=_AT_ONCE), strict=True
    ):
        if why or fault:
            left_out.append({"name": file["name"], "reason": why or fault})
        else:
            groups.setdefault(group_name(file["name"]), []).append(content)
    document = {**_heading(CREATE, head.fqid), "manifest": manifest, "files": groups}
    return encode({**document, "left_out": left_out} if left_out else document)


def _heading(event_type: str, fqid: Fqid) -> dict[str, Any]:
    return {"event_type": event_type, "bundle_info": {"uuid": fqid.uuid, "version": fqid.version}}


def _chosen(files: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the JSON files of a manifest, in its order, each with why it is left out, if it is."""
    total = 0
    for file in filter(is_json, files):
        if file["size"] > MOST_FILE_BYTES:
            yield file, f"larger than {MOST_FILE_BYTES} bytes"
        elif total + file["size"] > MOST_BYTES:
            yield file, f"with it, the files are larger than {MOST_BYTES} bytes"
        else:
            total += file["size"]
            yield file, ""


def _content(replica: Replica, chosen: tuple[Mapping[str, Any], str]) -> tuple[Any, str]:
    """Return what a file says, and why it is left out, if it is."""
    file, why = chosen
    if why:
        return None, why
    key = Checksums.parse({**file, "s3_etag": file["s3-etag"]}).blob_key
    try:
        encoded = read_all(replica.store, replica.bucket, key)
    except ObjectNotFound as error:
        raise NotYetThere(f"{file['name']}: replica {replica.name} has lost its blob") from error
    try:
        content = json.loads(encoded, parse_constant=_refused)
        # Numbers like 1e999 are read as infinite, which JSON does not know.
        json.dumps(content, allow_nan=False)
    except (ValueError, RecursionError):
        return None, "no JSON"
    return (None, f"deeper than {MOST_DEPTH} levels") if _is_deep(content) else (content, "")


def _is_deep(content: Any) -> bool:
    level = _within([content])
    for _ in range(MOST_DEPTH):
        level = _within(inner for one in level for inner in (one.values() if isinstance(one, dict) else one))
    return bool(level)


def _within(values: Iterable[Any]) -> list[dict[str, Any] | list[Any]]:
    return [value for value in values if isinstance(value, dict | list)]


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
