"""What a format of manifests is: it makes the bytes of a manifest, in bounded memory, of a selection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from shared.explore.bundle_metadata import Json
from shared.explore.manifests.selection import Selection

# Characters of a checkpoint's state, as JSON: it is in a document of Firestore with much else.
MOST_OF_STATE = 100_000


@dataclass(frozen=True)
class Checkpoint:
    """A place in the bytes of a manifest: the work may stop there, and go on in another process.

    `state` is all that is needed to go on, as JSON of MOST_OF_STATE characters at most. What is too large for
    it, as the ids of all that was written, is what `memory` returns; it is called only if the work is to be
    saved here, at most once in half a minute.
    """

    state: Json
    memory: Callable[[], bytes] = field(default=bytes, repr=False)


@dataclass(frozen=True)
class Saved:
    """A checkpoint that the work goes on from."""

    state: Json
    memory: bytes = field(default=b"", repr=False)


class Format(Protocol):
    """A format of manifests.

    `name` is what callers ask for, `extension` the ending of names of files, without a dot. Without
    `has_file_name` it is served without a name of a file. A small one of a format that is `made_in_requests`
    is made by the request that asks for it; others need more time or memory, as to read metadata of bundles.
    """

    name: str
    extension: str
    content_type: str
    has_file_name: bool
    made_in_requests: bool

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the bytes of a manifest, in pieces of any size, and checkpoints between them.

        It holds a bounded part of it in memory. With `saved`, yields what follows that checkpoint, in another
        process perhaps. A format that yields no checkpoints begins anew if it was interrupted, and has to end
        within half an hour. It may go through the selection several times. The same selection of an unchanged
        catalogue always gives the same bytes.
        """
        ...
