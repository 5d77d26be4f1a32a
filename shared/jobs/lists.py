"""Lists that operators hand in: objects of lines in a bucket, read from any line on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.errors import IllegalArguments, ObjectChanged
from shared.stores.base import StoredObject, bucket_url
from shared.system import Dss

# Of a list; some ten million names.
_LARGEST = 1024 * 1024 * 1024
_CHUNK = 1024 * 1024
# In bytes. GCS and S3: no key is longer than 1,024.
_LONGEST_LINE = 4096


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that is not empty, without blanks around it; `where` names it, `cursor` is behind it."""

    text: str
    where: str
    number: int
    cursor: dict[str, Any]


def check_list(dss: Dss, url: str) -> dict[str, str]:
    """Return the options that name a list as it is. Raises IllegalArguments, and what the store raises."""
    found = _stat(dss, url)
    if found.size > _LARGEST:
        raise IllegalArguments(f"list: {url} has {found.size} bytes, more than {_LARGEST}")
    return {"list": url, "list_revision": found.revision}


def read_list(dss: Dss, url: str, revision: str, cursor: Any) -> Iterator[Line]:
    """Yield the lines of a list behind a cursor; of the very list that was looked at.

    Raises ObjectChanged where it was replaced since, ObjectNotFound where it is gone, and IllegalArguments,
    naming the line, for one that is too long or is no UTF-8.
    """
    found = _stat(dss, url)
    if found.revision != revision:
        raise ObjectChanged(f"{url} was replaced since this run began")
    first, number = cursor.get("offset", 0), cursor.get("line", 0)
    for raw in _raw_lines(dss, found, first):
        first, number = first + len(raw), number + 1
        where = f"{url}, line {number}"
        if len(raw) > _LONGEST_LINE:
            raise IllegalArguments(f"{where}: it is longer than {_LONGEST_LINE} bytes")
        try:
            text = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise IllegalArguments(f"{where}: it is no UTF-8") from None
        if text:
            yield Line(text=text, where=where, number=number, cursor={"offset": first, "line": number})


def _stat(dss: Dss, url: str) -> StoredObject:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "gs" or not bucket or not key:
        raise IllegalArguments(f"list: {url[:80]!r} is not of the form gs://bucket/key")
    return dss.replicas.of_scheme("gs").store.stat(bucket, key)


def _raw_lines(dss: Dss, found: StoredObject, first: int) -> Iterator[bytes]:
    """Yield lines with their ends; one that is too long comes in pieces that are too long as well."""
    store = dss.replicas.of_scheme("gs").store
    rest = b""
    while first < found.size:
        size = min(_CHUNK, found.size - first)
        reader = store.read(found, first, size)
        data = b"".join(iter(lambda: reader.read(_CHUNK), b""))  # noqa: B023 # consumed at once
        reader.close()
        if len(data) != size:
            raise ObjectChanged(f"{bucket_url(store, found.bucket, found.key)} ended early")
        first += size
        lines = (rest + data).splitlines(keepends=True)
        rest = b""
        if first < found.size and not lines[-1].endswith(b"\n") and len(lines[-1]) <= _LONGEST_LINE:
            rest = lines.pop()
        yield from lines
    if rest:
        yield rest
