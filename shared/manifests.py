"""Manifests: the JSON objects that say what a file or bundle is, and suffice to rebuild the catalog."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from shared.catalog import BundleHead, BundleTombstone, FileRecord, PagedFile
from shared.checksums import Checksums
from shared.identifiers import Fqid

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
    head = BundleHead(
        fqid=fqid, creator_uid=manifest["creator_uid"], file_count=len(files), digest=digest(encoded)
    )
    return head, files


def tombstone_of_document(uuid: str, version: str | None, document: dict[str, Any]) -> BundleTombstone:
    """Return the tombstone that an object's content describes."""
    return BundleTombstone(uuid=uuid, version=version, email=document["email"], reason=document["reason"])


def tombstone_document(tombstone: BundleTombstone) -> dict[str, Any]:
    """Return what a tombstone's object says."""
    return {"email": tombstone.email, "reason": tombstone.reason, "admin_deleted": True}


def encode(document: dict[str, Any]) -> bytes:
    """Return the one form in which a document is written: the same document is the same bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest(encoded: bytes) -> str:
    """Return the SHA-256 of an encoded document, in hex."""
    return hashlib.sha256(encoded).hexdigest()
