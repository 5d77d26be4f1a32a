"""Manifests and tombstones: JSON objects in each replica's bucket, from which the catalog can be rebuilt."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from shared.catalog import BundleHead, BundleTombstone, FileRecord, PagedFile
from shared.checksums import Checksums
from shared.errors import InvalidChecksum, NotYetThere, ObjectExists, ObjectNotFound, StoreError, Unavailable
from shared.identifiers import Fqid
from shared.replicas import Replica
from shared.stores.base import bucket_url
from shared.totals import Total

CONTENT_TYPE = "application/json"


def file_manifest(record: FileRecord) -> dict[str, Any]:
    """Return the manifest of a file version."""
    return {
        "format": "0.0.4",
        "creator_uid": record.creator_uid,
        "version": record.fqid.version,
        "content-type": record.content_type,
        "size": record.size,
        "crc32c": record.checksums.crc32c,
        "s3-etag": record.checksums.s3_etag,
        "sha1": record.checksums.sha1,
        "sha256": record.checksums.sha256,
    }


def file_of_manifest(fqid: Fqid, manifest: dict[str, Any]) -> FileRecord:
    """Return the file version that a manifest describes."""
    return FileRecord(
        fqid=fqid,
        creator_uid=manifest["creator_uid"],
        content_type=manifest["content-type"],
        size=manifest["size"],
        checksums=Checksums.parse({**manifest, "s3_etag": manifest["s3-etag"]}),
    )


def bundle_manifest(fqid: Fqid, creator_uid: int, files: Sequence[PagedFile]) -> dict[str, Any]:
    """Return the manifest of a bundle version with these files, in this order."""
    return {
        "format": "0.0.1",
        "version": fqid.version,
        "creator_uid": creator_uid,
        "files": [
            {
                "name": file.name,
                "uuid": file.uuid,
                "version": file.version,
                "content-type": file.content_type,
                "size": file.size,
                "indexed": file.indexed,
                "crc32c": file.crc32c,
                "s3-etag": file.s3_etag,
                "sha1": file.sha1,
                "sha256": file.sha256,
            }
            for file in files
        ],
    }


def bundle_of_manifest(fqid: Fqid, encoded: bytes) -> tuple[BundleHead, list[PagedFile]]:
    """Return the bundle version that an encoded manifest describes, and its files."""
    manifest = json.loads(encoded)
    files = [
        PagedFile(
            name=file["name"],
            uuid=file["uuid"],
            version=file["version"],
            content_type=file["content-type"],
            size=file["size"],
            indexed=file["indexed"],
            crc32c=file["crc32c"],
            s3_etag=file["s3-etag"],
            sha1=file["sha1"],
            sha256=file["sha256"],
        )
        for file in manifest["files"]
    ]
    return bundle_head(fqid, manifest["creator_uid"], files, encoded), files


def bundle_head(fqid: Fqid, creator_uid: int, files: Sequence[PagedFile], encoded: bytes) -> BundleHead:
    """Return the head of a bundle version with these files, available on no replica, from its manifest."""
    return BundleHead(
        fqid=fqid,
        creator_uid=creator_uid,
        file_count=len(files),
        digest=digest(encoded),
        total=Total.of_items(Total.of_content(file.size, file.checksums) for file in files),
    )


def tombstone_of_document(uuid: str, version: str | None, document: dict[str, Any]) -> BundleTombstone:
    """Return the tombstone that an object's content describes."""
    return BundleTombstone(uuid=uuid, version=version, email=document["email"], reason=document["reason"])


def tombstone_document(tombstone: BundleTombstone) -> dict[str, Any]:
    """Return the content of a tombstone's object."""
    return {"email": tombstone.email, "reason": tombstone.reason, "admin_deleted": True}


def encode(document: dict[str, Any]) -> bytes:
    """Return a document as JSON, in its only form: the same document is the same bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest(encoded: bytes) -> str:
    """Return the SHA-256 of an encoded document, in hex."""
    return hashlib.sha256(encoded).hexdigest()


def write_once(replica: Replica, key: str, content: bytes) -> None:
    """Write a manifest or tombstone whose name the catalog has claimed. Safe to repeat.

    Raises StoreError if the key holds other content, and Unavailable if the store refuses to create the
    object and then doesn't have it.
    """
    try:
        replica.store.create(replica.bucket, key, content, CONTENT_TYPE)
    except ObjectExists:
        # An earlier or concurrent attempt wrote it; or someone wrote to the bucket past the system.
        _require_content(replica, key, content)


def _require_content(replica: Replica, key: str, content: bytes) -> None:
    try:
        existing = replica.store.stat(replica.bucket, key)
    except ObjectNotFound as error:
        # S3 also refuses a write that collides with another one, and that one may fail.
        raise Unavailable(f"{error.title}, but the store has just refused to create it; try again") from error
    if not existing.is_content(content):
        url = bucket_url(replica.store, replica.bucket, key)
        raise StoreError(f"{url}: its content differs from what the catalog says")


def read_required(replica: Replica, key: str) -> bytes:
    """Return the content of a manifest, tombstone or document. Raises NotYetThere if the replica lacks it."""
    try:
        return replica.store.read_all(replica.bucket, key)
    except ObjectNotFound as error:
        raise NotYetThere(f"{key}: replica {replica.name} does not have it") from error


def read_manifest(replica: Replica, key: str, expected: str) -> bytes:
    """Return a manifest whose digest is known.

    Raises NotYetThere if the replica lacks it, and InvalidChecksum if it has another digest.
    """
    encoded = read_required(replica, key)
    if digest(encoded) != expected:
        raise InvalidChecksum(f"{key}: replica {replica.name} has other content than the catalog says")
    return encoded
