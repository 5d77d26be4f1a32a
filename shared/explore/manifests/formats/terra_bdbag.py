"""`terra.bdbag`: a zipped bag with `data/participants.tsv`, a table of bundles that Terra imports."""

from collections.abc import Iterator
from contextlib import closing

from shared.explore.manifests.bag import zipped_bag
from shared.explore.manifests.columns import Rows, columns_of
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.participants import Kinds, Table, survey
from shared.explore.manifests.selection import Selection


class TerraBdbag:
    """Makes the bag; it reads the files twice, and always from the beginning."""

    name = "terra.bdbag"
    extension = "zip"
    content_type = "application/octet-stream"
    # Terra takes none that is served with one, as the predecessor found.
    has_file_name = False
    made_in_requests = True

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the zip file. Raises Unprocessable if its table has too many columns."""
        columns = columns_of(selection.catalogue)
        kinds = Kinds(columns)
        with closing(selection.files_by_bundle()) as files:
            layout = survey(files, kinds)
        table = Table(columns, Rows(columns, selection), kinds, layout)
        with closing(selection.files_by_bundle()) as files:
            yield from zipped_bag("participants.tsv", table.content(files))
