"""Tables of files as TSV: compact and full manifests, those of old clients, those in a BDBag for Terra."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import IO

from dss.errors import InvalidInput
from dss.manifests.rows import COLUMNS, NAME, NEEDED, SHA256, SIZE, UUID, VERSION, Row, damaged
from dss.suggestions import suggestion

# A cell may list thousands of bundles; csv's own limit is 128 KiB.
_MOST_CHARACTERS = 16 * 1024 * 1024
# Azul's BDBags have a row for a bundle, in it a group of columns for each file: `__fastq_read1__file_uuid`.
_OF_FILE = re.compile(r"(?P<group>__.+__)file_uuid")
_OF_ONE_FILE = (NAME, UUID, VERSION, SHA256, SIZE)


class Table:
    """A table: its `columns`, and then its rows, from a binary stream of UTF-8.

    Nothing is in memory but a row. Every method raises InvalidInput, which names the line, for what is no
    table, or ends too early.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        csv.field_size_limit(max(csv.field_size_limit(), _MOST_CHARACTERS))
        self._lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        # `excel-tab` is how Azul and the old clients write: quotes where they are needed.
        self._reader = csv.reader(self._lines, dialect="excel-tab", strict=True)
        with self._understood():
            self.columns: Sequence[str] = next(self._reader, [])

    def records(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the cells of each line that is not empty, with its place."""
        while True:
            with self._understood():
                cells = next(self._reader, None)
            if cells is None:
                return
            if cells:
                yield self._place, cells

    def rows(self) -> Iterator[Row]:
        """Yield a row for each file. Raises InvalidInput if the columns are not those of a table of files."""
        expected, short = len(self.columns), None
        # Before the first line: it may have nothing but a header.
        _ = self._groups
        for place, cells in self.records():
            if short:
                yield short
            wrong = Row(place=place, problem=f"has {len(cells)} cells, of {expected} columns")
            short = wrong if len(cells) < expected else None
            if len(cells) > expected:
                yield wrong
            elif not short:
                yield from self.rows_of(place, cells)
        # One line among others is wrong, but if it is the last one, more of them are missing.
        if short:
            raise damaged(short.place, short.problem)

    def rows_of(self, place: str, cells: Sequence[str]) -> Iterator[Row]:
        """Yield a row for each file of a line that has a cell for each column."""
        for columns in self._groups:
            values = {name: cells[at] for name, at in columns.items()}
            # In a bag, a bundle without such a file has empty cells.
            if len(self._groups) == 1 or values[UUID]:
                yield Row(place=place, values=values)

    @property
    def has_a_line_for_each_file(self) -> bool:
        """Whether a line has no more than one file."""
        return len(self._groups) == 1

    @cached_property
    def _groups(self) -> list[Mapping[str, int]]:
        """Return where the columns of a file are; of several groups if a row has several files."""
        found = {name: at for at, name in enumerate(self.columns)}
        bundle = {name: found[name] for name in COLUMNS if name in found and name not in _OF_ONE_FILE}
        prefixes = [match["group"] for name in found if (match := _OF_FILE.fullmatch(name))]
        if len(found) < len(self.columns):
            twice = next(name for at, name in enumerate(self.columns) if found[name] != at)
            raise InvalidInput(f"the manifest has two columns {twice!r}; remove one of them")
        missing = [name for name in NEEDED if name not in found]
        if missing and not prefixes:
            listed = ", ".join(map(repr, missing))
            like = suggestion(missing[0], found)
            others = ", ".join(name for name in COLUMNS if name not in NEEDED)
            raise InvalidInput(
                f"the manifest has no column {listed}{like} (line 1); of a table of files, "
                f"{' and '.join(NEEDED)} are needed, and {others} are used if they are there"
            )
        groups: list[Mapping[str, int]] = []
        for prefix in prefixes if missing else [""]:
            if prefix + NAME not in found:
                raise InvalidInput(
                    f"the manifest has no column {prefix + NAME!r} (line 1); its file needs one"
                )
            of_file = {name: found[prefix + name] for name in _OF_ONE_FILE if prefix + name in found}
            groups.append({**bundle, **of_file})
        return groups

    @property
    def _place(self) -> str:
        return f"line {self._reader.line_num}"

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            place = f"after line {self._reader.line_num}"
            raise InvalidInput(f"the manifest is not UTF-8, {place}: {error.reason}") from error
        except csv.Error as error:
            raise damaged(self._place, str(error)) from error

    def close(self) -> None:
        """End, and leave the stream open."""
        self._lines.detach()
