"""The content of objects: one file each, written once, and used only when it is complete."""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from gcs_server.errors import BadRequest

_COPY = 1024 * 1024


def base64_text(digest: bytes) -> str:
    """Return a digest in the form of Google Cloud Storage."""
    return base64.b64encode(digest).decode()


class RunningChecksums:
    """The checksums of a stream of bytes."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0
        self.size = 0

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self._md5.update(data)
        self._crc32c = google_crc32c.extend(self._crc32c, data)
        self.size += len(data)

    def content(self, file: str) -> "ContentFile":
        """Describe `file`, which has to hold exactly these bytes."""
        crc32c = base64_text(self._crc32c.to_bytes(4, "big"))
        return ContentFile(file, self.size, crc32c, base64_text(self._md5.digest()), None)


@dataclass(frozen=True)
class ContentFile:
    """A complete file of content. Composed content has a component count and no MD5."""

    file: str
    size: int
    crc32c: str
    md5: str | None
    components: int | None

    def check(self, expected: dict[str, str]) -> None:
        """Raise BadRequest if the content differs from an expected `crc32c` or `md5Hash`."""
        for label, name, actual in (("CRC32C", "crc32c", self.crc32c), ("MD5 hash", "md5Hash", self.md5)):
            if name in expected and expected[name] != actual:
                raise BadRequest(
                    f'Provided {label} "{expected[name]}" doesn\'t match calculated {label} "{actual}".'
                )


class DataFiles:
    """Files in a directory, spread over 256 folders."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for number in range(256):
            (directory / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, file: str) -> Path:
        """Return the path of a file, whether it exists or not."""
        return self._directory / file[:2] / file

    def new(self) -> str:
        """Return a new name."""
        return secrets.token_hex(16)

    def receive(self, blocks: Iterable[bytes]) -> ContentFile:
        """Write the blocks to a new file; if they raise an error, remove the file."""
        file = self.new()
        checksums = RunningChecksums()
        try:
            with self.path(file).open("wb", buffering=0) as target:
                for block in blocks:
                    target.write(block)
                    checksums.update(block)
        except BaseException:
            self.discard(file)
            raise
        return checksums.content(file)

    def concatenate(self, sources: Iterable[BinaryIO], components: int) -> ContentFile:
        """Write the sources' content to a new file, in order; composed content has no MD5."""
        file = self.new()
        crc32c = size = 0
        with self.path(file).open("wb", buffering=0) as target:
            for block in _blocks(sources):
                target.write(block)
                crc32c = google_crc32c.extend(crc32c, block)
                size += len(block)
        return ContentFile(file, size, base64_text(crc32c.to_bytes(4, "big")), None, components)

    def link(self, file: str) -> str:
        """Make a hard link to a file, and return its name. Raises FileNotFoundError."""
        second = self.new()
        os.link(self.path(file), self.path(second))
        return second

    def discard(self, file: str) -> None:
        """Remove the file if it exists; open handles can still read it."""
        self.path(file).unlink(missing_ok=True)

    def sweep(self, keep: set[str]) -> None:
        """Remove all files except `keep`: a kill left the others behind."""
        for folder in self._directory.iterdir():
            for entry in os.scandir(folder):
                if entry.name not in keep:
                    os.unlink(entry.path)  # noqa: PTH108  a scan gives strings


def _blocks(sources: Iterable[BinaryIO]) -> Iterator[bytes]:
    for source in sources:
        while block := source.read(_COPY):
            yield block
