"""Metadata documents: a bundle version's manifest and the content of its JSON files, or its tombstone.

A document is built from immutable content only, in one canonical form: it has the same bytes at any time and
on any replica. It is stored as an object beside the bundle's manifest.
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from shared.catalog import BundleHead
from shared.checksums import MIB, Checksums
from shared.errors import DssError, InvalidChecksum, NotYetThere, ObjectExists, ObjectNotFound
from shared.group_names import group_name
from shared.identifiers import Fqid, Kind, document_key, event_ids, manifest_key
from shared.manifests import CONTENT_TYPE, digest, encode, read_required, tombstone_document
from shared.metadata import CREATE, TOMBSTONE, is_json
from shared.parallel import map_in_threads
from shared.purged_files import purged_files
from shared.replicas import Replica
from shared.search.bounds import IndexBounds, nodes_in
from shared.system import Dss

# The JSON files of a bundle that go into its document: up to this many bytes per file, and in all. A document
# is read, matched and indexed as a whole. Parsed, metadata of real bundles takes twice its size in memory
# (measured); a list of empty lists takes twenty times. These are not settings: a document must not depend
# on the process that makes it.
MOST_FILE_BYTES = 4 * MIB
MOST_BYTES = 16 * MIB
_AT_ONCE = 16
# Nesting of lists and objects. Parsers and index back ends have limits of their own, all above this.
MOST_DEPTH = 100


def read_document(dss: Dss, replica: str, fqid: Fqid, *, dead: bool) -> bytes:
    """Return the document of a published event. Raises NotYetThere if it is not published."""
    return read_required(dss.replicas.named(replica), document_key(fqid, dead=dead))


def document_of(dss: Dss, replica: Replica, head: BundleHead) -> bytes:
    """Return the stored document of a bundle version that is or was visible on a replica, or build it.

    That of its tombstone if it is hidden. Raises Unavailable if a store fails.
    """
    try:
        return replica.store.read_all(replica.bucket, document_key(head.fqid, dead=head.hidden))
    except ObjectNotFound:
        return make_document(dss, replica, head, dead=head.hidden)


def store_document(dss: Dss, replica: Replica, head: BundleHead, *, dead: bool) -> bytes:
    """Return the document of a bundle version, or of its tombstone, and store it on the replica.

    Safe to repeat: a stored document stays as it is. Raises as `document_of`.
    """
    key = document_key(head.fqid, dead=dead)
    content = b"" if dead else _published_elsewhere(dss, replica, head)
    content = content or make_document(dss, replica, head, dead=dead)
    try:
        replica.store.create(replica.bucket, key, content, CONTENT_TYPE)
    except ObjectExists:
        # What is there may have been built of more: files may have been removed for good meanwhile.
        return read_required(replica, key)
    return content


def _published_elsewhere(dss: Dss, replica: Replica, head: BundleHead) -> bytes:
    """Return the document as another replica has published it; nothing if none has, or can't be reached.

    That is one request in the place of one for each JSON file. The digest in the catalog proves it.
    """
    others = set() if head.lacks_files else head.available - {replica.name}
    if not others:
        return b""
    for event in dss.catalog.events.get_many(event_ids(others, head.fqid, [CREATE])).values():
        with suppress(DssError):
            other = dss.replicas.named(event.replica)
            content = other.store.read_all(other.bucket, document_key(head.fqid, dead=False))
            if digest(content) == event.digest:
                return content
    return b""


def make_document(dss: Dss, replica: Replica, head: BundleHead, *, dead: bool) -> bytes:
    """Build the document of a bundle version, or of its tombstone, from the objects of a replica.

    Stores nothing. Raises NotYetThere if the replica lacks an object, and InvalidChecksum if its manifest
    is not the one that the catalog has the digest of.
    """
    return _tombstone(dss, head) if dead else _bundle(dss, replica, head)


def published_document(dss: Dss, replica: Replica, head: BundleHead, *, size: int, dead: bool) -> bytes:
    """Build a document as `make_document` does, of the size at which it was published.

    It is shorter if files of the bundle were removed for good since, and is filled up with spaces: what is
    beside it in a journal stays where it is.
    """
    made = make_document(dss, replica, head, dead=dead)
    if len(made) > size and head.lacks_files and not dead:
        # The names of what was left out took more than its content, or made room for what had none.
        made = encode(
            {
                name: {} if name == "files" else value
                for name, value in json.loads(made).items()
                if name != "left_out"
            }
        )
    return made.ljust(size)


def _tombstone(dss: Dss, head: BundleHead) -> bytes:
    uuid, _, version = head.hidden_by.partition(".")
    known = dss.catalog.scan.tombstone(uuid, version or None)
    if known is None:
        raise NotYetThere(f"bundle {head.fqid}: the catalog does not know its tombstone {head.hidden_by} yet")
    return encode({**_heading(TOMBSTONE, head.fqid), **tombstone_document(known.tombstone)})


def _bundle(dss: Dss, replica: Replica, head: BundleHead) -> bytes:
    key = manifest_key(Kind.BUNDLE, head.fqid)
    encoded = read_required(replica, key)
    if digest(encoded) != head.digest:
        raise InvalidChecksum(f"{key}: replica {replica.name} has another manifest than the catalog")
    manifest = json.loads(encoded)
    groups: dict[str, list[Any]] = {}
    left_out = []
    bounds = IndexBounds()
    files = list(_json_files(manifest["files"], _purged_files(dss, head, manifest["files"])))
    # Read in threads, and parsed one by one: how much memory a parsed file takes is its writer's choice.
    read = map_in_threads(partial(_read, replica), files, threads=_AT_ONCE)
    for (file, too_large), encoded in zip(files, read, strict=True):
        group = group_name(file["name"])
        content, fault = (None, too_large) if too_large else _content(encoded, group, bounds)
        if fault:
            left_out.append({"name": file["name"], "reason": fault})
        else:
            groups.setdefault(group, []).append(content)
    document = {**_heading(CREATE, head.fqid), "manifest": manifest, "files": groups}
    return encode({**document, "left_out": left_out} if left_out else document)


def _heading(event_type: str, fqid: Fqid) -> dict[str, Any]:
    return {"event_type": event_type, "bundle_info": {"uuid": fqid.uuid, "version": fqid.version}}


def _purged_files(dss: Dss, head: BundleHead, files: Sequence[Mapping[str, Any]]) -> Container[Fqid]:
    """Return the JSON files of a manifest that were removed for good."""
    if not head.lacks_files:
        return ()
    fqids = {Fqid(file["uuid"], file["version"]) for file in files if is_json(file)}
    return purged_files(dss, fqids, dss.catalog.files.get_many(fqids))


def _json_files(
    files: Sequence[Mapping[str, Any]], purged: Container[Fqid]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the JSON files of a manifest, in its order, each with the reason if it is left out."""
    total = 0
    for file in filter(is_json, files):
        if file["size"] > MOST_FILE_BYTES:
            yield file, f"larger than {MOST_FILE_BYTES} bytes"
        elif total + file["size"] > MOST_BYTES:
            yield file, f"with it, the files are larger than {MOST_BYTES} bytes"
        else:
            total += file["size"]
            yield file, "removed for good" if Fqid(file["uuid"], file["version"]) in purged else ""


def _read(replica: Replica, file_and_reason: tuple[Mapping[str, Any], str]) -> bytes:
    """Return the content of a file; nothing if there is a reason to leave it out."""
    file, too_large = file_and_reason
    if too_large:
        return b""
    key = Checksums.parse({**file, "s3_etag": file["s3-etag"]}).blob_key
    try:
        return replica.store.read_all(replica.bucket, key)
    except ObjectNotFound as error:
        raise NotYetThere(f"{file['name']}: replica {replica.name} has lost its blob") from error


def _content(encoded: bytes, group: str, bounds: IndexBounds) -> tuple[Any, str]:
    """Return the parsed content of a file, and the reason if it is left out."""
    nodes = nodes_in(encoded)
    if fault := bounds.exceeded_by_nodes(nodes):
        return None, fault
    try:
        content = json.loads(encoded, parse_constant=_refused)
        # Python reads numbers like 1e999 as infinite, which is not JSON.
        json.dumps(content, allow_nan=False)
    except (ValueError, RecursionError):
        return None, "no JSON"
    if _is_deep(content):
        return None, f"deeper than {MOST_DEPTH} levels"
    fault = bounds.add(group, content, nodes)
    return (None, fault) if fault else (content, "")


def _is_deep(content: Any) -> bool:
    level = _within([content])
    for _ in range(MOST_DEPTH):
        level = _within(
            inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)
        )
    return bool(level)


def _within(values: Iterable[Any]) -> list[dict[str, Any] | list[Any]]:
    return [value for value in values if isinstance(value, dict | list)]


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
