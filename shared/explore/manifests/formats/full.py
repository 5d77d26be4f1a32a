"""`full`: a table of tab-separated values, a row for each data file, with all its metadata."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from shared.errors import ManifestFailed
from shared.explore.bundle_metadata import Json
from shared.explore.manifests.columns import lines_of, text_of
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.originals import BundleOfFiles, Original, bundles_of, originals_of
from shared.explore.manifests.selection import SelectedFile, Selection, name_of

# As the predecessor's last release with this format. Metadata can't contain it.
_SEPARATOR = "||"
# Names of properties that are no columns, wherever they are.
_LEFT_OUT = frozenset(
    (
        *("describedBy", "schema_type", "submission_date", "update_date", "process_id", "protocol_id"),
        *("contributors", "publications", "project_description"),
    )
)
# Files that are no rows, by their type.
_NO_DATA = frozenset(("supplementary_file", "reference_file"))
_OF_FILES = "_file"
_LINKS = "links"
# Of the file of a row; the others are of the bundle.
_FILE_COLUMNS = ("uuid", "version", "sha256", "crc32c", "size", "format")
# More than any table is good for. The HCA has 900 or so.
_MOST_COLUMNS = 16_000

Values = dict[str, set[str]]


class Full:
    """Makes the table in two passes: one for the columns, one for the rows.

    Its state is the pass and the position of the last bundle, its memory the columns.
    """

    name = "full"
    extension = "tsv"
    content_type = "text/tab-separated-values"
    has_file_name = True
    made_in_requests = False

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the header, and a row for each data file, in order of bundles and of the entities' ids."""
        in_rows, *position = saved.state if saved else (False, "", "")
        columns: Sequence[str] = json.loads(saved.memory) if saved else []
        after = (position[0], position[1])
        if not in_rows:
            names = set(columns)
            with closing(bundles_of(selection, after)) as bundles:
                for bundle in bundles:
                    for row in _rows(selection, bundle):
                        names.update(row)
                    if len(names) > _MOST_COLUMNS:
                        raise ManifestFailed(
                            f"the metadata have more than {_MOST_COLUMNS:,} properties; choose fewer files"
                        )
                    yield Checkpoint([False, *bundle.last], lambda: json.dumps(sorted(names)).encode())
            columns, after = sorted(names), ("", "")
            yield lines_of([columns]).encode()
        memory = json.dumps(columns).encode()
        with closing(bundles_of(selection, after)) as bundles:
            for bundle in bundles:
                rows = _rows(selection, bundle)
                yield lines_of([row.get(name, "") for name in columns] for row in rows).encode()
                yield Checkpoint([True, *bundle.last], lambda: memory)


def _rows(selection: Selection, bundle: BundleOfFiles) -> Iterator[dict[str, str]]:
    """Yield the cells of each data file: its own, those of its own document, and those of all others."""
    data = [file for file in bundle.files if _is_data(file)]
    if not data:
        return
    metadata = bundle.metadata
    of_bundle: Values = {}
    of_files: dict[str, Values] = {}
    for each in originals_of(selection.catalogue, metadata, None):
        if each.type == _LINKS:
            continue
        is_file = each.type.endswith(_OF_FILES)
        _collect(of_files.setdefault(each.id, {}) if is_file else of_bundle, each)
    # Once for all files: these are almost all of the cells.
    shared = _cells(of_bundle) | {
        "bundle_uuid": metadata.fqid.uuid,
        "bundle_version": metadata.fqid.version,
    }
    for file in data:
        [entry] = [entry for entry, is_related in file.files if not is_related]
        row = shared | _cells(of_files.get(file.entity_id, {}))
        row["file_name"] = name_of(entry)
        for name in _FILE_COLUMNS:
            value = (
                entry.get("file_format") if name == "format" and "file_format" in entry else entry.get(name)
            )
            row[f"file_{name}"] = text_of(value)
        yield row


def _cells(values: Values) -> dict[str, str]:
    return {path: _SEPARATOR.join(sorted(found)) for path, found in values.items()}


def _is_data(file: SelectedFile) -> bool:
    files = file.contents.get("files", [])
    return bool(files) and str(files[0].get("file_type")) not in _NO_DATA


def _collect(values: Values, original: Original) -> None:
    # A list in place of recursion: documents may be nested deeper than Python's stack.
    pending: list[tuple[str, Json]] = [(original.type, original.value)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            inner = ((f"{path}.{key}", each) for key, each in value.items() if key not in _LEFT_OUT)
            pending += reversed(list(inner))
        elif isinstance(value, list):
            pending += reversed([(path, each) for each in value])
        elif value is not None:
            values.setdefault(path, set()).add(text_of(value))
