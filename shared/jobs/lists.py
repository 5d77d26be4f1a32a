"""Lists that operators put into a bucket: objects of lines, read from any line on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.errors import IllegalArguments, ObjectChanged
from shared.stores.base import ObjectStore, StoredObject, bucket_url, read_range
from shared.system import Dss

# Bytes of a list: some ten million names.
_LARGEST = 1024 * 1024 * 1024
_CHUNK = 1024 * 1024
# In bytes. GCS and S3: no key is longer than 1,024.
_LONGEST_LINE = 4096


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that is not empty, stripped; `where` names it in errors, `cursor` is the position after it."""

    text: str
    where: str
    number: int
    cursor: dict[str, Any]


def check_list(dss: Dss, url: str) -> dict[str, str]:
    """Return the options that name a list and pin its content. Raises IllegalArguments and StoreError."""
    source = _stat(dss, url)
    if source.size > _LARGEST:
        raise IllegalArguments(
            f"list: {url} has {source.size} bytes, more than {_LARGEST}; split it into several lists"
        )
    return {"list": url, "list_revision": source.revision}


def read_list(dss: Dss, url: str, revision: str, cursor: Any) -> Iterator[Line]:
    """Yield the lines of a list after a cursor.

    Raises ObjectChanged if the list has another revision, ObjectNotFound if it is gone, and IllegalArguments,
    which names the line, for a line that is too long or is not UTF-8.
    """
    source = _stat(dss, url)
    if source.revision != revision:
        raise ObjectChanged(f"{url} was replaced since this run began")
    first, number = cursor.get("offset", 0), cursor.get("line", 0)
    for raw in raw_lines(dss.replicas.of_scheme("gs").store, source, first, _LONGEST_LINE):
        first, number = first + len(raw), number + 1
        where = f"{url}, line {number}"
        if len(raw) > _LONGEST_LINE:
            raise IllegalArguments(f"{where}: it is longer than {_LONGEST_LINE} bytes")
        try:
            text = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise IllegalArguments(f"{where}: it is not UTF-8") from None
        if text:
            yield Line(text=text, where=where, number=number, cursor={"offset": first, "line": number})


def _stat(dss: Dss, url: str) -> StoredObject:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "gs" or not bucket or not key:
        raise IllegalArguments(f"list: {url[:80]!r} does not have the form gs://bucket/key")
    return dss.replicas.of_scheme("gs").store.stat(bucket, key)


def raw_lines(store: ObjectStore, source: StoredObject, first: int, longest: int) -> Iterator[bytes]:
    """Yield the lines of an object from a position on, with their ends, in bounded memory.

    A line of more than `longest` bytes comes in pieces that are too long as well. Raises ObjectChanged if the
    object was replaced since it was described.
    """
    rest = b""
    while first < source.size:
        size = min(_CHUNK, source.size - first)
        data = read_range(store, source, first, size)
        if len(data) != size:
            raise ObjectChanged(f"{bucket_url(store, source.bucket, source.key)} ended early")
        first += size
        lines = (rest + data).splitlines(keepends=True)
        rest = b""
        if first < source.size and not lines[-1].endswith(b"\n") and len(lines[-1]) <= longest:
            rest = lines.pop()
        yield from lines
    if rest:
        yield rest
