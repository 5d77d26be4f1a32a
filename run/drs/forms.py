"""Objects in the form of DRS: JSON without nulls, with times in RFC 3339."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from run.drs.access_methods import methods_of
from shared.catalog import FileRecord
from shared.drs.checksums import file_checksums
from shared.identifiers import Fqid
from shared.replicas import Replicas


def drs_uri(base_url: str, fqid: Fqid) -> str:
    """Return the hostname-based URI of an object of the service at `base_url`; DRS allows no port in it."""
    return f"drs://{urlsplit(base_url).hostname}/{fqid}"


def time_of(version: str) -> str:
    """Return a version as a time in RFC 3339."""
    return f"{version[:13]}:{version[13:15]}:{version[15:]}"


def file_form(base_url: str, replicas: Replicas, record: FileRecord, *, first: str | None) -> dict[str, Any]:
    """Return a file; its access methods begin with that of the replica `first`, if it is given."""
    return {
        **_common(base_url, record.fqid, record.size, file_checksums(record.checksums)),
        "mime_type": record.content_type,
        "access_methods": methods_of(replicas, record, first=first),
    }


def _common(base_url: str, fqid: Fqid, size: int, checksums: Mapping[str, str]) -> dict[str, Any]:
    created = time_of(fqid.version)
    return {
        "id": str(fqid),
        # A file has no name of its own, only one in each bundle.
        "name": fqid.uuid,
        "self_uri": drs_uri(base_url, fqid),
        "size": size,
        "created_time": created,
        "updated_time": created,
        "version": fqid.version,
        "checksums": [{"type": name, "checksum": checksum} for name, checksum in checksums.items()],
    }
