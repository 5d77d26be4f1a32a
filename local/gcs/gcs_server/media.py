"""Answers that carry an object's content: ranges, checksums, compressed content."""

import base64
import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import BinaryIO

from gcs_server.errors import RangeNotSatisfiable, Unsupported
from gcs_server.resources import ObjectRecord, etag
from gcs_server.wire import Request, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_INFLATE_STEP = 64 * 1024


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the requested range as offset and length; None if it is malformed, which means all.

    Raises RangeNotSatisfiable for a range outside the content, Unsupported for several ranges.
    """
    if "," in header:
        raise Unsupported("several ranges in one request are not served")
    match = _RANGE.fullmatch(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(size)
    return start, end - start


def media(request: Request, stored: ObjectRecord, file: BinaryIO, headers: list[tuple[str, str]]) -> Response:
    """Answer with the content, or the requested range of it, with `headers` added to the usual ones.

    Compressed content is sent as it is if the client accepts that; otherwise it is inflated, and sent whole.
    """
    values = stored.attributes
    common = [
        ("X-Goog-Generation", str(stored.generation)),
        ("X-Goog-Metageneration", str(stored.metageneration)),
        ("X-Goog-Storage-Class", values["storageClass"]),
        ("X-Goog-Stored-Content-Encoding", values.get("contentEncoding", "identity")),
        ("X-Goog-Stored-Content-Length", str(stored.size)),
        ("Last-Modified", format_datetime(datetime.fromisoformat(values["timeCreated"]), usegmt=True)),
        ("ETag", f'"{_content_tag(stored)}"'),
        *headers,
    ]
    for name, key in (("Cache-Control", "cacheControl"), ("Content-Language", "contentLanguage")):
        if key in values:
            common.append((name, values[key]))
    if values.get("contentEncoding") == "gzip" and not _accepts_gzip(request, stored):
        return Response(200, [*common, ("Warning", "214 UploadServer gunzipped")], stream=_inflated(file))
    if "contentEncoding" in values:
        common.append(("Content-Encoding", values["contentEncoding"]))
    common.append(("Accept-Ranges", "bytes"))
    return _whole_or_range(request, stored, file, common)


def hash_values(stored: ObjectRecord) -> list[str]:
    """Return the checksums in the form of `X-Goog-Hash`."""
    values = [f"crc32c={stored.attributes['crc32c']}"]
    if "md5Hash" in stored.attributes:
        values.append(f"md5={stored.attributes['md5Hash']}")
    return values


def _whole_or_range(
    request: Request, stored: ObjectRecord, file: BinaryIO, headers: list[tuple[str, str]]
) -> Response:
    try:
        asked = byte_range(request.headers["range"], stored.size) if "range" in request.headers else None
    except BaseException:
        file.close()
        raise
    if asked is None:
        return Response(200, headers, file=file, length=stored.size)
    offset, length = asked
    headers.append(("Content-Range", f"bytes {offset}-{offset + length - 1}/{stored.size}"))
    return Response(206, headers, file=file, offset=offset, length=length)


def _content_tag(stored: ObjectRecord) -> str:
    if "md5Hash" in stored.attributes:
        return base64.b64decode(stored.attributes["md5Hash"]).hex()
    return etag(stored.generation, stored.metageneration)


def _accepts_gzip(request: Request, stored: ObjectRecord) -> bool:
    if "no-transform" in stored.attributes.get("cacheControl", ""):
        return True
    return "gzip" in request.headers.get("accept-encoding", "")


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    # zlib: 16 + MAX_WBITS expects a gzip header.
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    with file:
        while block := file.read(_INFLATE_STEP):
            yield inflate.decompress(block)
    yield inflate.flush()
