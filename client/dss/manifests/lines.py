"""The lines of a manifest, each with its place."""

import io
from collections.abc import Iterator
from typing import IO

from dss.errors import InvalidInput


def placed_lines(stream: IO[bytes], most: int) -> Iterator[tuple[str, str]]:
    """Yield the lines of a text in UTF-8 that are not blank, each after its place, as `line 3`.

    One line is in memory, and no more than `most` characters of it: the rest counts as a line of its own.
    Raises InvalidInput, which names the line, if it is not UTF-8.
    """
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig")
    number = 0
    try:
        while True:
            place = f"line {number + 1}"
            try:
                line = lines.readline(most)
            except UnicodeDecodeError as error:
                raise InvalidInput(f"the manifest is not UTF-8, near {place}: {error.reason}") from error
            if not line:
                return
            number += 1
            if line.strip():
                yield place, line
    finally:
        lines.detach()
