"""Manifests: the JSON objects that say what a file or bundle is, and suffice to rebuild the catalog."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from shared.catalog import BundleTombstone, FileRecord, PagedFile
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


def tombstone_document(tombstone: BundleTombstone) -> dict[str, Any]:
    """Return what a tombstone's object says."""
    return {"email": tombstone.email, "reason": tombstone.reason, "admin_deleted": True}


def encode(document: dict[str, Any]) -> bytes:
    """Return the one form in which a document is written: the same document is the same bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def digest(encoded: bytes) -> str:
    """Return the SHA-256 of an encoded document, in hex."""
    return hashlib.sha256(encoded).hexdigest()
