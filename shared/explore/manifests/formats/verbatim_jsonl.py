"""`verbatim.jsonl`: the metadata documents of the files as they were written, each once, one a line."""

import json
from collections.abc import Iterator
from contextlib import closing

from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.originals import bundles_of, originals_of
from shared.explore.manifests.seen import Seen
from shared.explore.manifests.selection import Selection


class VerbatimJsonl:
    """Makes the lines; its state is the position of the last bundle, and its memory what was written."""

    name = "verbatim.jsonl"
    extension = "jsonl"
    content_type = "application/jsonl"
    has_file_name = True
    made_in_requests = False

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield `{"type", "value"}` of each document, bundle by bundle."""
        seen = Seen(saved.memory if saved else b"")
        after: tuple[str, str] = (saved.state[0], saved.state[1]) if saved else ("", "")
        with closing(bundles_of(selection, after, documents=False)) as bundles:
            for bundle in bundles:
                ids = {file.entity_id for file in bundle.files}
                for each in originals_of(selection.catalogue, bundle.metadata, ids):
                    line = json.dumps({"type": each.type, "value": each.value}, ensure_ascii=False).encode()
                    if seen.add(line):
                        yield line + b"\n"
                yield Checkpoint(list(bundle.last), seen.encode)
