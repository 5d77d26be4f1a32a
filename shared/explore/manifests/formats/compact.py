"""`compact`: a table of tab-separated values, a row for each file; the default."""

from collections.abc import Iterator
from contextlib import closing

from shared.explore.manifests.columns import Rows, columns_of, lines_of
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.selection import Selection

# Files between two checkpoints.
_FILES = 500


class Compact:
    """Makes the table; its state is the id of the last file's entity."""

    name = "compact"
    extension = "tsv"
    content_type = "text/tab-separated-values"
    has_file_name = True
    made_in_requests = True

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the header and the rows, in order of the entities' ids."""
        columns = columns_of(selection.catalogue)
        rows = Rows(columns, selection)
        if saved is None:
            yield lines_of([[each.name for each in columns]]).encode()
        lines: list[str] = []
        with closing(selection.files(saved.state if saved else "")) as files:
            for number, each in enumerate(files, 1):
                lines.append(lines_of(rows.of(each)))
                if number % _FILES == 0:
                    yield "".join(lines).encode()
                    lines.clear()
                    yield Checkpoint(each.entity_id)
        yield "".join(lines).encode()
