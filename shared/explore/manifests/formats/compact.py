"""`compact`: a table of tab-separated values, a row for each file; the default."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing

from shared.explore.manifests.columns import cells_of, columns_of
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
    reads_metadata = False

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the header and the rows, in order of the entities' ids."""
        columns = columns_of(selection.catalogue)
        rows = cells_of(columns, selection)
        text = io.StringIO()
        # The predecessor's form: CRLF, and quotes where they are needed.
        table = csv.writer(text, "excel-tab")
        if saved is None:
            table.writerow([each.name for each in columns])
        with closing(selection.files(saved.state if saved else "")) as files:
            for number, each in enumerate(files, 1):
                table.writerows(rows(each))
                if number % _FILES == 0:
                    yield _taken(text)
                    yield Checkpoint(each.entity_id)
        yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    """Return what was written, and begin anew."""
    content = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return content
