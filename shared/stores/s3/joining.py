"""Objects of S3 put together from others: parts of an upload, each copied server side or read and sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shared.checksums import MIB
from shared.errors import ObjectChanged
from shared.parallel import map_in_threads
from shared.stores.base import Piece, UploadName
from shared.stores.s3 import uploads
from shared.stores.s3.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3: a part of an upload has 5 MiB at least, unless it is the last.
SMALLEST_PART = 5 * MIB
# Objects that are read at once.
_READERS = 16


@dataclass(frozen=True)
class Slice:
    """A range of an object."""

    key: str
    first: int
    size: int


def parts_of(pieces: Sequence[Piece]) -> Iterator[list[Slice]]:
    """Yield the parts of an upload whose content is that of the pieces, in order; each of a slice or more.

    A part of several slices has SMALLEST_PART bytes, unless it is the last; a larger slice is a part by
    itself. Pieces a (3 MiB), b (9 MiB), c (1 MiB) become the parts [a, b's first 2 MiB], [b's other 7], [c].
    """
    part: list[Slice] = []
    lacking = SMALLEST_PART
    for piece in pieces:
        first = min(piece.size, lacking) if part else 0
        if first:
            part.append(Slice(piece.key, 0, first))
            lacking -= first
        if part and not lacking:
            yield part
            part, lacking = [], SMALLEST_PART
        rest = Slice(piece.key, first, piece.size - first)
        if rest.size >= SMALLEST_PART:
            yield [rest]
        elif rest.size:
            part.append(rest)
            lacking -= rest.size
    if part:
        yield part


def join(client: "S3Client", bucket: str, pieces: Sequence[Piece], key: str, *, content_type: str) -> None:
    """Write a new object of pieces, as the protocol's `join` says, with some MiB of them in memory."""
    size = sum(piece.size for piece in pieces)
    with uploads.begun(client, bucket, key, size=size, content_type=content_type) as upload:
        etags = {
            number: _put(client, upload, number, part) for number, part in enumerate(parts_of(pieces), 1)
        }
        uploads.complete(client, upload, etags, replaces=False)


def _put(client: "S3Client", upload: UploadName, number: int, part: list[Slice]) -> str:
    bucket = upload.bucket
    place = {"Bucket": bucket, "Key": upload.key, "UploadId": upload.id, "PartNumber": number}
    if len(part) == 1 and part[0].size >= SMALLEST_PART:
        with translated(bucket, part[0].key):
            copied = client.upload_part_copy(
                **place,  # type: ignore[arg-type] # its types are checked by name, and these have names
                CopySource={"Bucket": bucket, "Key": part[0].key},
                CopySourceRange=_range(part[0]),
            )
        return copied["CopyPartResult"]["ETag"]
    data = b"".join(map_in_threads(partial(_read, client, bucket), part, threads=_READERS))
    with translated(bucket, upload.key):
        return client.upload_part(**place, Body=data)["ETag"]  # type: ignore[arg-type] # as above


def _read(client: "S3Client", bucket: str, part: Slice) -> bytes:
    with translated(bucket, part.key):
        body = client.get_object(Bucket=bucket, Key=part.key, Range=_range(part))["Body"]
        data = body.read()
    if len(data) != part.size:
        raise ObjectChanged(f"s3://{bucket}/{part.key}: it has fewer bytes than expected")
    return data


def _range(part: Slice) -> str:
    return f"bytes={part.first}-{part.first + part.size - 1}"
