"""Answers that carry an object's content: ranges, checksums, compressed content."""

import base64
import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import BinaryIO

from gcs_server.errors import NotServed, RangeNotSatisfiable
from gcs_server.resources import StoredObject, etag
from gcs_server.wire import Request, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_INFLATE_STEP = 64 * 1024


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The range asked for, as offset and length; None if it is malformed, which means all.

    Raises RangeNotSatisfiable for a range that has nothing of the content, NotServed for several ranges.
    """
    if "," in header:
        raise NotServed("several ranges in one request are not served")
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


def media(request: Request, stored: StoredObject, file: BinaryIO, headers: list[tuple[str, str]]) -> Response:
    """The content, or the range of it that is asked for, with `headers` after those it always has.

    Compressed content is sent as it is to who accepts that, else inflated, and then as a whole.
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


def hash_values(stored: StoredObject) -> list[str]:
    """The checksums as `X-Goog-Hash` has them."""
    values = [f"crc32c={stored.attributes['crc32c']}"]
    if "md5Hash" in stored.attributes:
        values.append(f"md5={stored.attributes['md5Hash']}")
    return values


def _whole_or_range(
    request: Request, stored: StoredObject, file: BinaryIO, headers: list[tuple[str, str]]
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


def _content_tag(stored: StoredObject) -> str:
    if "md5Hash" in stored.attributes:
        return base64.b64decode(stored.attributes["md5Hash"]).hex()
    return etag(stored.generation, stored.metageneration)


def _accepts_gzip(request: Request, stored: StoredObject) -> bool:
    if "no-transform" in stored.attributes.get("cacheControl", ""):
        return True
    return "gzip" in request.headers.get("accept-encoding", "")


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    # 16 + MAX_WBITS: zlib's way to say that a gzip header is expected.
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    with file:
        while block := file.read(_INFLATE_STEP):
            yield inflate.decompress(block)
    yield inflate.flush()
