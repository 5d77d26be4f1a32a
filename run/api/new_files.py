"""The body of `files.put_many`: files with their content, checked before any of them is written."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from run.api.bodies import BODY
from shared.catalog import FileRecord
from shared.checksums import checksums_of
from shared.clock import Clock, check_not_ahead
from shared.errors import IllegalArguments, IllegalVersion, InvalidChecksum, RequestTooLarge
from shared.file_batches import MOST_BYTES, MOST_FILES, NewFile
from shared.identifiers import Fqid


def check_items(items: Sequence[Mapping[str, Any]], clock: Clock, *, version_ahead_seconds: int) -> None:
    """Raise the error of what is wrong with the list, and name the item.

    RequestTooLarge for too many files or bytes; IllegalArguments if there are none, or two have one UUID and
    version; IllegalVersion if a version is too far ahead.
    """
    if not items:
        raise IllegalArguments(f"{BODY}.files: is empty; name at least one file")
    if len(items) > MOST_FILES:
        raise RequestTooLarge(f"{BODY}.files: {len(items)} files; at most {MOST_FILES} in one request")
    seen: dict[Fqid, int] = {}
    total = 0
    for number, item in enumerate(items):
        fqid = fqid_of(item)
        if (first := seen.setdefault(fqid, number)) != number:
            raise IllegalArguments(
                f"{_path(number)}: {fqid} is files[{first}] too; name each version of a file once"
            )
        try:
            check_not_ahead(clock, fqid.version, version_ahead_seconds)
        except IllegalVersion as error:
            raise IllegalVersion(f"{_path(number)}.{error.title}") from None
        total += _decoded_bytes(item["content"])
        if total > MOST_BYTES:
            raise RequestTooLarge(
                f"{_path(number)}.content: with it the content is {total:,} bytes; at most {MOST_BYTES:,} in "
                "one request; put larger files from a staging bucket"
            )


def contents_of(items: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return the decoded contents. Raise IllegalArguments, which names the item, for what is no base64."""
    contents = []
    for number, item in enumerate(items):
        try:
            contents.append(base64.b64decode(item["content"], validate=True))
        except (binascii.Error, ValueError) as error:
            raise IllegalArguments(f"{_path(number)}.content: is not base64: {error}") from None
    return contents


def new_file(item: Mapping[str, Any], content: bytes) -> NewFile:
    """Return a file of the list, with the checksums of its content.

    Raise InvalidChecksum if it claims another sha256.
    """
    checksums = checksums_of(content)
    if (claim := item.get("sha256", checksums.sha256).lower()) != checksums.sha256:
        raise InvalidChecksum(f"sha256: {claim!r} is claimed, the content has {checksums.sha256!r}")
    record = FileRecord(
        fqid=fqid_of(item),
        creator_uid=item["creator_uid"],
        content_type=item.get("content_type", "application/octet-stream"),
        size=len(content),
        checksums=checksums,
    )
    return NewFile(record=record, content=content)


def fqid_of(item: Mapping[str, Any]) -> Fqid:
    """Return the name of a file of the list."""
    return Fqid(item["uuid"], item["version"])


def _path(number: int) -> str:
    return f"{BODY}.files[{number}]"


def _decoded_bytes(content: str) -> int:
    """Return how many bytes a text in base64 stands for."""
    return len(content) * 3 // 4 - content[-2:].count("=")
