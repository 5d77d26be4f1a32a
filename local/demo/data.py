"""The demo's data: the sample bundle, and fingerprints that compare directories."""

import gzip
import hashlib
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dss.transfer.directory import scan

SAMPLE = Path(__file__).resolve().parents[1] / "sample"
# The repository has this file's metadata; its content is generated, because it is large.
LARGE_NAME = "cortex_S1_L001_R2_001.fastq.gz"
# Above 64 MiB S3 stores an object in parts, with an ETag of parts.
LARGE_BYTES = 65 * 1024 * 1024
_SEED = 20260112
_READ_BASES = 91
_POOL_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Fingerprint:
    """Size in bytes and sha256 of a file."""

    size: int
    sha256: str


def make_sample(directory: Path) -> None:
    """Make a directory with the sample bundle, the same bytes every time."""
    shutil.copytree(SAMPLE, directory)
    with (
        (directory / LARGE_NAME).open("wb") as raw,
        # Not compressed, for speed. No time stamp, so that the bytes don't change.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=0, mtime=0) as stream,
    ):
        written = 0
        for record in _reads():
            written += stream.write(record)
            if written >= LARGE_BYTES:
                break


def _reads() -> Iterator[bytes]:
    """Yield random reads in FASTQ, for ever."""
    dice = random.Random(_SEED)
    noise = dice.randbytes(_POOL_BYTES)
    bases = noise.translate(bytes(b"ACGT"[value % 4] for value in range(256)))
    qualities = noise.translate(bytes(b"FFFFFFF:,#"[value % 10] for value in range(256)))
    number = 0
    while True:
        number += 1
        first = dice.randrange(_POOL_BYTES - _READ_BASES)
        part = slice(first, first + _READ_BASES)
        yield b"@SAMPLE:1:%d 2:N:0:ACGTACGT\n%s\n+\n%s\n" % (number, bases[part], qualities[part])


def fingerprints(directory: Path) -> dict[str, Fingerprint]:
    """Return the fingerprint of every file in a directory, by its name in a bundle.

    Raises InvalidInput for a file that a bundle can't have, OSError for one that can't be read.
    """
    return {file.name: _fingerprint(file.path) for file in scan(directory)}


def _fingerprint(path: Path) -> Fingerprint:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Fingerprint(stream.tell(), digest.hexdigest())


def differences(sent: Mapping[str, Fingerprint], got: Mapping[str, Fingerprint]) -> list[str]:
    """Return a line for every file that is missing, was not sent, or differs from the sent one."""
    return [
        *(f"{name} is missing" for name in sorted(sent.keys() - got.keys())),
        *(f"{name} was not sent" for name in sorted(got.keys() - sent.keys())),
        *(
            f"{name} was {sent[name].size} bytes of sha256 {sent[name].sha256}, "
            f"and is {got[name].size} bytes of sha256 {got[name].sha256}"
            for name in sorted(sent.keys() & got.keys())
            if sent[name] != got[name]
        ),
    ]
