"""What a file system knows of bundles: one request for each, however many files are read."""

import threading
from collections import OrderedDict, defaultdict

from dss.api import bundles
from dss.api.session import Session
from dss.errors import CallFailed
from dss.filesystem.tree import BundleTree
from dss.references import Reference

# A file takes about 2 kB.
_MAX_FILES = 200_000


class Manifests:
    """The bundles that were asked for last, up to 200,000 files; threads may share it.

    The version that a bare UUID means is found once, and stays the same until `forget`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._loading: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._newest: dict[str, str] = {}
        self._trees: OrderedDict[str, BundleTree] = OrderedDict()

    def known(self, reference: Reference) -> BundleTree | None:
        """Return a bundle if no request is needed."""
        with self._lock:
            tree = self._trees.get(self._pinned(reference).fqid)
            if tree:
                self._trees.move_to_end(tree.fqid)
            return tree

    def get(self, reference: Reference) -> BundleTree:
        """Return a bundle, by one request for all threads that ask for it at once.

        Raises CallFailed or Unreachable.
        """
        with self._lock:
            loading = self._loading[reference.fqid]
        with loading:
            return self.known(reference) or self._load(self._pinned(reference))

    def forget(self, uuid: str | None = None) -> None:
        """Find the newest version of a bundle anew when it is asked for; of all without a UUID."""
        with self._lock:
            self._loading.clear()
            if uuid is None:
                self._newest.clear()
                self._trees.clear()
            else:
                self._newest.pop(uuid, None)

    def _pinned(self, reference: Reference) -> Reference:
        version = reference.version or self._newest.get(reference.uuid)
        return Reference(uuid=reference.uuid, version=version)

    def _load(self, reference: Reference) -> BundleTree:
        try:
            bundle = bundles.bundle(self._session, reference.uuid, reference.version, presigned=True)
        except CallFailed as error:
            if error.status not in (401, 403):
                raise
            # It may be listed by those who may not read all of its files: these have URLs of their own.
            bundle = bundles.bundle(self._session, reference.uuid, reference.version)
        tree = BundleTree(self._session, bundle)
        with self._lock:
            if reference.version is None:
                self._newest[reference.uuid] = tree.version
            self._trees[tree.fqid] = tree
            while len(self._trees) > 1 and sum(map(len, self._trees.values())) > _MAX_FILES:
                self._trees.popitem(last=False)
        return tree
