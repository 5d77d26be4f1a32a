"""Indexed documents: the content by which search finds bundle versions and their tombstones.

An indexed document depends on the metadata document (`shared.metadata`) alone, so that a rebuild of the index
gives the same documents.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from shared.group_names import group_name
from shared.identifiers import Fqid
from shared.manifests import digest, encode
from shared.metadata import TOMBSTONE, contents
from shared.search.base import IndexEntry

# v1 has always left the files of longer manifests out of the index.
MAX_MANIFEST_FILES = 20_000
# And of those with more characters in the names of files: each word of a name is in the index.
MAX_NAME_CHARACTERS = 3 * 1024 * 1024

_VERSION = re.compile(r"([0-9]+)\.[0-9]+\.[0-9]+")


def indexed_document(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the indexed document of a bundle version or tombstone, made from its metadata document."""
    uuid = metadata["bundle_info"]["uuid"]
    if metadata["event_type"] == TOMBSTONE:
        return tombstone_document(uuid, metadata["email"], metadata["reason"])
    files: dict[str, list[Any]] = {}
    for file, content in contents(metadata):
        if file["indexed"]:
            files.setdefault(group_name(file["name"]), []).append(content)
    manifest = metadata["manifest"]
    names = sum(len(file["name"]) for file in manifest["files"])
    if len(manifest["files"]) > MAX_MANIFEST_FILES or names > MAX_NAME_CHARACTERS:
        manifest = {**manifest, "files": []}
    return {
        "manifest": manifest,
        "uuid": uuid,
        "state": "new",
        "files": files,
        "shape_descriptor": shape_descriptor(files),
    }


def entry_of(replica: str, fqid: Fqid, content: bytes, *, dead: bool, readers: frozenset[str]) -> IndexEntry:
    """Return the index entry of a bundle version, or of its tombstone, from its encoded metadata document."""
    document = indexed_document(json.loads(content))
    return IndexEntry(replica=replica, fqid=fqid, document=document, dead=dead, readers=readers)


def tombstone_document(uuid: str, email: str, reason: str) -> dict[str, Any]:
    """Return the indexed document of a tombstone."""
    return {"admin_deleted": True, "uuid": uuid, "email": email, "reason": reason}


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an indexed document in canonical JSON, in hex."""
    return digest(encode(dict(document)))


def shape_descriptor(files: Mapping[str, Any]) -> str | None:
    """Return which schemas describe the files of a bundle, or None if no file names one.

    `v5` if every file is named like its schema and all schemas have major version 5. Otherwise each name with
    its schema, if that differs, and major version: `v.cell.5.donor.biomaterial.7`.
    """
    described = sorted(set(_described(files)))
    if not described:
        return None
    majors = {major for _, _, major in described}
    if len(majors) == 1 and all(name == schema for name, schema, _ in described):
        return f"v{described[0][2]}"
    return "v." + ".".join(
        f"{name}.{major}" if name == schema else f"{name}.{schema}.{major}"
        for name, schema, major in described
    )


def _described(files: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for group, contents_of_group in files.items():
        name = group.removesuffix("_json")
        for content in contents_of_group:
            schema = _schema_of(content)
            # A descriptor separates names by dots and ends each with a number, so names must have neither.
            if schema and not any("." in text or text.isdecimal() for text in (name, schema[0])):
                yield name, *schema


def _schema_of(content: Any) -> tuple[str, str] | None:
    """Return name and major version of the schema that a file's `describedBy` names, if any."""
    url = content.get("describedBy") if isinstance(content, Mapping) else None
    if not isinstance(url, str):
        return None
    try:
        *steps, last = urlsplit(url).path.split("/")
    except ValueError:
        return None
    majors = [found[1] for step in steps if (found := _VERSION.fullmatch(step))]
    schema = last.removesuffix(".json")
    return (schema, majors[0]) if schema and len(majors) == 1 else None
