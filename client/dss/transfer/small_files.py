"""Small files: their content goes to the DSS itself, many in one request, and needs no staging bucket."""

from collections.abc import Iterable, Iterator

from dss.checksums import ChecksumCalculator, Checksums
from dss.transfer.directory import LocalFile

# Files up to so many bytes are sent like this. Of a larger one the bytes cost more than the requests saved.
SMALL_BYTES = 256 * 1024
# Files of one request, and bytes of their content: a quarter of what the DSS takes. Larger requests are
# hardly faster, and several of them at once don't end in time (40 s) if the DSS is very busy.
MOST_FILES = 25
MOST_BYTES = 1024 * 1024


def batches(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """Yield files in lists that fit into one request each, by their sizes; a larger file is alone in its."""
    batch: list[LocalFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) == MOST_FILES or size + file.size > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def read_content(file: LocalFile) -> tuple[bytes, Checksums]:
    """Return the content of a small file, with its checksums. Raises ContentChanged if it changed."""
    content = file.path.read_bytes()
    file.check_unchanged()
    calculator = ChecksumCalculator(len(content))
    calculator.update(content)
    return content, calculator.result()
