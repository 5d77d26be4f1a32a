"""The content of objects: one file each, written once, named by nobody until it is complete."""

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
    """A digest as Google Cloud Storage writes it."""
    return base64.b64encode(digest).decode()


class Sums:
    """The checksums of bytes that go by, in order."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0
        self.size = 0

    def update(self, data: bytes) -> None:
        """Adds what comes next."""
        self._md5.update(data)
        self._crc32c = google_crc32c.extend(self._crc32c, data)
        self.size += len(data)

    def content(self, file: str) -> "Content":
        """What `file` holds, if it holds exactly what went by."""
        crc32c = base64_text(self._crc32c.to_bytes(4, "big"))
        return Content(file, self.size, crc32c, base64_text(self._md5.digest()), None)


@dataclass(frozen=True)
class Content:
    """A complete file. Composed content has a component count and no MD5."""

    file: str
    size: int
    crc32c: str
    md5: str | None
    components: int | None

    def check(self, claims: dict[str, str]) -> None:
        """Raises BadRequest if `crc32c` or `md5Hash` was claimed, and isn't so."""
        for label, name, actual in (("CRC32C", "crc32c", self.crc32c), ("MD5 hash", "md5Hash", self.md5)):
            if name in claims and claims[name] != actual:
                raise BadRequest(
                    f'Provided {label} "{claims[name]}" doesn\'t match calculated {label} "{actual}".'
                )


class DataFiles:
    """Files under a directory, spread over 256 folders."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for number in range(256):
            (directory / f"{number:02x}").mkdir(parents=True, exist_ok=True)

    def path(self, file: str) -> Path:
        """Where the file is, or would be."""
        return self._directory / file[:2] / file

    def new(self) -> str:
        """A name that no file has."""
        return secrets.token_hex(16)

    def receive(self, blocks: Iterable[bytes]) -> Content:
        """Writes the blocks to a new file; whatever they raise is raised, and the file is gone then."""
        file = self.new()
        sums = Sums()
        try:
            with self.path(file).open("wb", buffering=0) as target:
                for block in blocks:
                    target.write(block)
                    sums.update(block)
        except BaseException:
            self.discard(file)
            raise
        return sums.content(file)

    def concatenate(self, sources: Iterable[BinaryIO], components: int) -> Content:
        """A new file of the sources' content, in order; composed content has no MD5."""
        file = self.new()
        crc32c = size = 0
        with self.path(file).open("wb", buffering=0) as target:
            for block in _blocks(sources):
                target.write(block)
                crc32c = google_crc32c.extend(crc32c, block)
                size += len(block)
        return Content(file, size, base64_text(crc32c.to_bytes(4, "big")), None, components)

    def link(self, file: str) -> str:
        """A second file of the same content, at no cost; raises FileNotFoundError if it has gone."""
        second = self.new()
        os.link(self.path(file), self.path(second))
        return second

    def discard(self, file: str) -> None:
        """Removes the file, if it is there; who has it open can read on."""
        self.path(file).unlink(missing_ok=True)

    def sweep(self, keep: set[str]) -> None:
        """Removes every file that isn't to be kept: what a kill left behind."""
        for folder in self._directory.iterdir():
            for entry in os.scandir(folder):
                if entry.name not in keep:
                    os.unlink(entry.path)  # noqa: PTH108  a scan gives strings


def _blocks(sources: Iterable[BinaryIO]) -> Iterator[bytes]:
    for source in sources:
        while block := source.read(_COPY):
            yield block
