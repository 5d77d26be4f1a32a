"""The table `participants.tsv` of Terra: a row for each bundle, with columns for each of its files.

Which columns there are is known only when all files were seen: `survey` finds it out, and `table` makes the
table of a second pass over them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from shared.errors import Unavailable, Unprocessable
from shared.explore.bundle_metadata import Json
from shared.explore.manifests.columns import SEPARATOR, Column, Rows, lines_of, plain_name
from shared.explore.manifests.selection import FileOfBundle, SelectedFile, name_of
from shared.identifiers import Fqid

# Excel has no more columns, and a table of as many is some gigabytes of empty cells already.
MOST_COLUMNS = 16_384

_ID = "entity:participant_id"
_BUNDLES, _FILES = "bundles", "files"
# Terra: other characters can't be in the names of columns.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
# Of these formats a bundle has a file for each read, which gets columns of its own.
_BY_READ = ("fastq", "fastq.gz")
# How the formats of files are called whose format is not known.
_NO_FORMAT = "file"
# Columns that name the format of a file, and the read.
_FORMAT_COLUMNS, _READ_COLUMN = ("file_format", "fileFormat"), "read_index"


class Kinds:
    """Says which kind of file each is: those of a kind share columns. It is the format, or the read."""

    def __init__(self, columns: Sequence[Column]) -> None:
        keys = {each.name: each.key for each in columns if each.listed == _FILES}
        self._format = next((keys[name] for name in _FORMAT_COLUMNS if name in keys), "")
        self._read = keys.get(_READ_COLUMN, "")

    def of(self, file: Mapping[str, Json]) -> str:
        """Return the kind of a file, which may be in the name of a column."""
        kind, read = file.get(self._format), file.get(self._read)
        if kind in _BY_READ and read is not None:
            kind = f"fastq_{read}"
        return _NOT_IN_NAMES.sub("-", str(kind or _NO_FORMAT))


@dataclass(frozen=True)
class Layout:
    """Which bundles are left out of a table, by UUID, and how many files of a kind others have at most."""

    left_out: frozenset[str]
    most: Mapping[str, int]


def survey(files: Iterable[FileOfBundle], kinds: Kinds) -> Layout:
    """Return the layout of a table of these files.

    A bundle is left out if another one has all of its files, and others or a greater version; of a file the
    bundles count that its document names. Memory: some 200 bytes for each bundle, and 600 if another has all
    of its files.
    """
    most: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    perhaps: list[tuple[Fqid, Counter[str], frozenset[Fqid]]] = []
    for bundle, group in groupby(files, key=attrgetter("bundle")):
        counts: Counter[str] = Counter()
        with_all: frozenset[Fqid] | None = None
        for each in group:
            counts.update(kinds.of(file) for file in _own_files(each.file))
            if with_all is None or with_all:
                with_it = _bundles_of(each.file)
                with_all = with_it if with_all is None else with_all & with_it
        sizes[bundle.uuid] = counts.total()
        if others := (with_all or frozenset()) - {bundle}:
            perhaps.append((bundle, counts, others))
        else:
            most |= counts
    left_out = set()
    for bundle, counts, others in perhaps:
        rank = counts.total(), bundle.version, bundle.uuid
        if any((sizes.get(each.uuid, 0), each.version, each.uuid) > rank for each in others):
            left_out.add(bundle.uuid)
        else:
            most |= counts
    return Layout(frozenset(left_out), most)


def _own_files(selected: SelectedFile) -> list[Mapping[str, Json]]:
    """Return the files that are entities: one, but for versions in several bundles; no members of others."""
    return [file for file, is_related in selected.files if not is_related]


def _bundles_of(file: SelectedFile) -> frozenset[Fqid]:
    return frozenset(Fqid(each["uuid"], each["version"]) for each in file.document[_BUNDLES])


class Table:
    """Makes the table: of the columns of a catalogue's files, of their cells, and in a layout.

    Raises Unprocessable if it has too many columns.
    """

    def __init__(self, columns: Sequence[Column], rows: Rows, kinds: Kinds, layout: Layout) -> None:
        self._rows = rows
        self._kinds = kinds
        self._layout = layout
        numbered = list(enumerate(columns))
        self._of_bundle = [(number, each.key) for number, each in numbered if each.listed == _BUNDLES]
        self._of_file = [number for number, each in numbered if each.listed == _FILES]
        self._of_both = [number for number, each in numbered if each.listed not in (_BUNDLES, _FILES)]
        shared = [*(number for number, _ in self._of_bundle), *self._of_both]
        self.header = [_ID, *(plain_name(columns[number]) for number in shared)]
        files = [plain_name(columns[number]) for number in self._of_file]
        self._require_few_columns(len(self.header), len(files))
        # The position of the first column of each kind.
        self._starts: dict[str, int] = {}
        for kind, most in sorted(layout.most.items()):
            self._starts[kind] = len(self.header)
            for number in range(most):
                place = kind if most == 1 else f"{kind}_{number}"
                self.header += [f"__{place}__{name}" for name in files]

    def _require_few_columns(self, shared: int, of_a_file: int) -> None:
        width = shared + of_a_file * sum(self._layout.most.values())
        if width > MOST_COLUMNS:
            kind, most = max(self._layout.most.items(), key=lambda each: each[1])
            raise Unprocessable(
                f"a bundle has {most} files of the kind {kind}, and each has columns of its own: the table"
                f" would have {width} columns, at most {MOST_COLUMNS} are possible; ask for fewer files, or"
                " for another format, as terra.pfb"
            )

    def content(self, files: Iterable[FileOfBundle]) -> Iterator[bytes]:
        """Yield the table as tab-separated values. Memory: the cells of one bundle.

        The files are in order of their bundles. Raises Unavailable if a bundle has other files than before.
        """
        yield lines_of([self.header]).encode()
        for bundle, group in groupby(files, key=attrgetter("bundle")):
            if bundle.uuid not in self._layout.left_out:
                yield lines_of([self._row(bundle, group)]).encode()

    def _row(self, bundle: Fqid, group: Iterable[FileOfBundle]) -> list[str]:
        values: list[set[str]] = [set() for _ in self._of_both]
        by_kind: dict[str, list[tuple[str, list[str]]]] = {}
        for each in group:
            for (file, is_related), cells in zip(each.file.files, self._rows.of(each.file), strict=True):
                if is_related:
                    continue
                for found, number in zip(values, self._of_both, strict=True):
                    found.update(cells[number].split(SEPARATOR))
                # By the ends of their names, so that those of several bundles come in the same order.
                key = name_of(file)[::-1]
                of_file = [cells[number] for number in self._of_file]
                by_kind.setdefault(self._kinds.of(file), []).append((key, of_file))
        names = {"uuid": bundle.uuid, "version": bundle.version}
        row = [
            # Terra: an id has no colons.
            f"{bundle.uuid}.{bundle.version.replace(':', '')}",
            *(names[key] for _, key in self._of_bundle),
            *(SEPARATOR.join(sorted(found)) for found in values),
        ]
        row += [""] * (len(self.header) - len(row))
        for kind, listed in by_kind.items():
            if len(listed) > self._layout.most.get(kind, 0):
                raise Unavailable(f"bundle {bundle} has changed while this manifest was made; ask again")
            start = self._starts[kind]
            cells = [cell for _, of_file in sorted(listed, key=lambda each: each[0]) for cell in of_file]
            row[start : start + len(cells)] = cells
        return row
