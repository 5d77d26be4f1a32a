"""Makes a manifest piece by piece: what is written is saved with the state from which to go on.

A kill between any two steps leaves objects that nobody knows, and the work goes on from what was saved.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from shared.catalog import ManifestJob, ManifestPiece
from shared.catalogue_manifests.places import ManifestPlace
from shared.catalogue_manifests.selections import selection_of
from shared.clock import Deadline
from shared.deadlines import inherited
from shared.explore.manifests.content import MOST_OF_STATE, Checkpoint, Format, Saved
from shared.explore.manifests.formats import open_format
from shared.explore.manifests.selection import CatalogueSelection
from shared.system import Dss

# Bytes of a piece, of which one is filled while two are sent.
_PIECE = 8 << 20
_SENT_AT_ONCE = 2
# Seconds between two saves: what a kill costs.
_SAVE_SECONDS = 30


def make_at_once(dss: Dss, job: ManifestJob) -> str:
    """Make a small manifest, whole in memory; return the key of its object."""
    made = open_format(job.order.format)
    selection = selection_of(dss, job.order)
    data = b"".join(piece for piece in made.content(selection) if isinstance(piece, bytes))
    place = ManifestPlace(dss, job.id)
    dss.faults.reach("manifest: made")
    return place.key(place.put(data, made.content_type))


def make_pieces(dss: Dss, job: ManifestJob, *, seconds: float) -> ManifestJob | None:
    """Go on with a manifest for some seconds; return the job as it then is, which is `over` after all pieces.

    A format without checkpoints takes as long as it takes.
    """
    place = ManifestPlace(dss, job.id)
    selection = selection_of(dss, job.order)
    return _Making(dss, place, open_format(job.order.format), selection).go_on(job, seconds)


def join_pieces(dss: Dss, job: ManifestJob) -> str:
    """Make one object of all pieces, and return its key."""
    place = ManifestPlace(dss, job.id)
    content_type = open_format(job.order.format).content_type
    name = place.join(job.pieces, content_type) if job.pieces else place.put(b"", content_type)
    return place.key(name)


class _Making:
    def __init__(
        self, dss: Dss, place: ManifestPlace, a_format: Format, selection: CatalogueSelection
    ) -> None:
        self._dss = dss
        self._place = place
        self._format = a_format
        self._selection = selection

    def go_on(self, job: ManifestJob, seconds: float) -> ManifestJob | None:
        ends, saves = Deadline(self._dss.clock, seconds), Deadline(self._dss.clock, _SAVE_SECONDS)
        saved = Saved(json.loads(job.cursor), self._memory(job)) if job.cursor else None
        done_before = job.files_done
        current: ManifestJob | None = job
        with _Pieces(self._place) as pieces:
            for each in self._format.content(self._selection, saved):
                if isinstance(each, bytes):
                    pieces.write(each)
                elif current and (saves.passed or ends.passed):
                    done = done_before + self._selection.read
                    current = self._save(current, pieces.taken(), each, files_done=done)
                    if current is None or ends.passed:
                        return current
                    saves = Deadline(self._dss.clock, _SAVE_SECONDS)
            assert current
            return self._save(current, pieces.taken(), None, files_done=current.order.files)

    def _save(
        self,
        job: ManifestJob,
        pieces: Sequence[ManifestPiece],
        checkpoint: Checkpoint | None,
        *,
        files_done: int,
    ) -> ManifestJob | None:
        memory, cursor = b"", ""
        if checkpoint:
            memory, cursor = checkpoint.memory(), json.dumps(checkpoint.state)
            assert len(cursor) <= MOST_OF_STATE
        self._dss.faults.reach("manifest: pieces written")
        saved = self._dss.catalog.manifests.save(
            job,
            pieces=pieces,
            cursor=cursor,
            memory=self._place.put(memory) if memory else "",
            over=checkpoint is None,
            # A format may go through the files several times.
            files_done=min(files_done, job.order.files),
        )
        # If another step has gone on from the same state, this one's pieces do not count.
        is_own = saved is not None and saved.pieces == (*job.pieces, *pieces)
        return saved if is_own or checkpoint is None else None

    def _memory(self, job: ManifestJob) -> bytes:
        return self._place.get(job.memory) if job.memory else b""


class _Pieces:
    """Collects bytes, and writes them as objects in the background."""

    def __init__(self, place: ManifestPlace) -> None:
        self._place = place
        self._buffer = bytearray()
        self._threads = ThreadPoolExecutor(_SENT_AT_ONCE)
        self._sent: list[Future[ManifestPiece]] = []

    def __enter__(self) -> "_Pieces":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _PIECE:
            self._send(bytes(self._buffer[:_PIECE]))
            del self._buffer[:_PIECE]

    def taken(self) -> list[ManifestPiece]:
        """Write what is left, wait for all, and return what was written since the last time."""
        if self._buffer:
            self._send(bytes(self._buffer))
            self._buffer.clear()
        written = [each.result() for each in self._sent]
        self._sent = []
        return written

    def _send(self, data: bytes) -> None:
        if len(self._sent) >= _SENT_AT_ONCE:
            self._sent[-_SENT_AT_ONCE].result()
        self._sent.append(self._threads.submit(inherited(self._put), data))

    def _put(self, data: bytes) -> ManifestPiece:
        return ManifestPiece(self._place.put(data), len(data))
