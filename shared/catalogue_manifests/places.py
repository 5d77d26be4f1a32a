"""Where manifests are: objects of the primary replica's main bucket, which people can't read or list.

Those of managed data must not be where the readers of the checkout bucket find them. The bucket's life cycle
removes all that is here after a week.
"""

import contextlib
from collections.abc import Sequence
from uuid import uuid4

from shared.catalog import ManifestPiece
from shared.errors import ObjectNotFound
from shared.identifiers import CATALOGUE_MANIFESTS
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.stores.base import Piece
from shared.system import Dss

_THREADS = 8


class ManifestPlace:
    """The objects of one job. Each gets a new name, so that steps that run twice don't meet.

    All methods raise the errors of the store.
    """

    def __init__(self, dss: Dss, job_id: str) -> None:
        self._replica: Replica = dss.replicas.primary
        self._prefix = f"{CATALOGUE_MANIFESTS}{job_id}/"

    def put(self, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object, and return the last part of its key."""
        name = uuid4().hex
        self._replica.store.create(self._replica.bucket, self.key(name), data, content_type)
        return name

    def get(self, name: str) -> bytes:
        """Return the content of an object."""
        return self._replica.store.read_all(self._replica.bucket, self.key(name))

    def join(self, pieces: Sequence[ManifestPiece], content_type: str) -> str:
        """Write an object of pieces, and return its name."""
        name = uuid4().hex
        joined = [Piece(self.key(piece.name), piece.size) for piece in pieces]
        self._replica.store.join(self._replica.bucket, joined, self.key(name), content_type=content_type)
        return name

    def remove(self, pieces: Sequence[ManifestPiece]) -> None:
        """Remove pieces; what a kill leaves goes with the bucket's life cycle."""

        def delete(piece: ManifestPiece) -> None:
            self._replica.store.delete(self._replica.bucket, self.key(piece.name))

        for _ in map_in_threads(delete, pieces, threads=_THREADS):
            pass

    def key(self, name: str) -> str:
        """Return the key of an object."""
        return f"{self._prefix}{name}"


def is_there(dss: Dss, key: str) -> bool:
    """Return whether a manifest was not removed yet."""
    with contextlib.suppress(ObjectNotFound):
        dss.replicas.primary.store.stat(dss.replicas.primary.bucket, key)
        return True
    return False
