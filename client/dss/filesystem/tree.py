"""A bundle version as a tree of directories and files, as `dss download` lays it out."""

from collections.abc import Iterator, Mapping
from typing import Any

from dss.api.session import Session
from dss.reading import RemoteFile
from dss.transfer.placement import place

# GCS and S3: no key is longer, so that no step of a name is shortened.
_LONGEST_STEP = 1024


class BundleTree:
    """The files of one bundle version by path, and their directories.

    A path is the file's name if a directory could hold it: of `a` and `a/b` the first is at `a~1`.
    """

    def __init__(self, session: Session, bundle: Mapping[str, Any]) -> None:
        self.uuid = str(bundle["uuid"])
        self.version = str(bundle["version"])
        self._session = session
        rows = {str(row["name"]): row for row in bundle["files"]}
        self._paths = place(rows, longest=_LONGEST_STEP)
        self._rows = {self._paths[name]: row for name, row in rows.items()}
        self._remote: dict[str, RemoteFile] = {}
        self._directories: dict[str, dict[str, None]] = {"": {}}
        for path in sorted(self._rows):
            self._add(path)

    def _add(self, path: str) -> None:
        """Make a path known to its directory, and that one to its own."""
        while path:
            directory = path.rpartition("/")[0]
            known = directory in self._directories
            self._directories.setdefault(directory, {})[path] = None
            if known:
                return
            path = directory

    @property
    def fqid(self) -> str:
        """UUID.VERSION of the bundle."""
        return f"{self.uuid}.{self.version}"

    def __len__(self) -> int:
        return len(self._rows)

    def info(self, prefix: str, path: str) -> dict[str, Any] | None:
        """Return what fsspec calls the info of a path; None if nothing is there.

        `prefix` is what names the bundle in the info's `name`.
        """
        if path in self._directories:
            name = f"{prefix}/{path}" if path else prefix
            return {"name": name, "size": 0, "type": "directory", "bundle": self.fqid}
        row = self.row(path)
        if row is None:
            return None
        return {
            "name": f"{prefix}/{path}",
            "size": int(row["size"]),
            "type": "file",
            "content_type": row.get("content-type"),
            "uuid": row["uuid"],
            "version": row["version"],
            "bundle": self.fqid,
            **{name: row[name] for name in ("sha256", "sha1", "crc32c", "s3_etag") if name in row},
        }

    def children(self, directory: str) -> Iterator[str]:
        """Yield the paths in a directory, in order."""
        yield from self._directories[directory]

    def row(self, path: str) -> Mapping[str, Any] | None:
        """Return the file at a path, or of that name, as GET /bundles lists it; None if there is none."""
        return self._rows.get(path) or self._rows.get(self._paths.get(path, ""))

    def remote(self, path: str) -> RemoteFile | None:
        """Return the bytes of the file at a path, None if there is none; the same object for each call."""
        row = self.row(path)
        if row is None:
            return None
        # Threads that come at once agree on one: its URL is replaced for all of them.
        return self._remote.setdefault(path, RemoteFile(self._session, row))
