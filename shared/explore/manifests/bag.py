"""Bags (BagIt, RFC 8493) in zip files, made while they are read: of one file of data, of any size."""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing

# As the predecessor's bags were called; what unpacks one finds a folder of this name.
_ROOT = "manifest"
# Bytes of a piece of the zip file, at least.
_PIECE = 1 << 18
# Zip files have no dates before this one. With the present one, no two bags of the same data were the same.
_DATE = (1980, 1, 1, 0, 0, 0)
# The version that the predecessor's bags had, which all tools know.
_DECLARATION = b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"


class _Sink:
    """What a zip file is written to that nobody goes back in: it has no `seek`."""

    def __init__(self) -> None:
        self._pieces = io.BytesIO()

    def write(self, content: bytes) -> int:
        return self._pieces.write(content)

    def flush(self) -> None:
        """Do nothing: all is taken by `take`."""

    def close(self) -> None:
        """Do nothing, too."""

    def take(self, least: int = 0) -> Iterator[bytes]:
        """Yield what was not yet taken if it has `least` bytes."""
        if self._pieces.tell() > least:
            yield self._pieces.getvalue()
            self._pieces.seek(0)
            self._pieces.truncate()


def zipped_bag(name: str, content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a zipped bag with a file `data/NAME`; the same for the same content.

    Memory: one piece.
    """
    sink = _Sink()
    # No `with`: it would complete the file if the work ends half-way.
    bag = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED)
    payload = f"data/{name}"
    digest, size = hashlib.sha256(), 0
    # It may be larger than 4 GiB, which is to be said before.
    with closing(bag.open(_entry(payload), "w", force_zip64=True)) as file:
        for piece in content:
            digest.update(piece)
            size += len(piece)
            file.write(piece)
            yield from sink.take(_PIECE)
    tags = {
        "bagit.txt": _DECLARATION,
        "bag-info.txt": f"Payload-Oxum: {size}.1\n".encode(),
        "manifest-sha256.txt": f"{digest.hexdigest()}  {payload}\n".encode(),
    }
    sums = (f"{hashlib.sha256(text).hexdigest()}  {tag}\n" for tag, text in tags.items())
    tags["tagmanifest-sha256.txt"] = "".join(sums).encode()
    for tag, text in tags.items():
        bag.writestr(_entry(tag), text)
    bag.close()
    yield from sink.take()


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(f"{_ROOT}/{path}", _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    # Readable and writable for their owner, readable for all others.
    entry.external_attr = 0o644 << 16
    return entry
