"""Where a path leads: to a file of a bundle, to a directory in it, or nowhere."""

import errno
import os
from dataclasses import dataclass
from typing import Any

from dss.errors import InvalidInput
from dss.filesystem.faults import not_found
from dss.filesystem.tree import BundleTree
from dss.reading import RemoteFile
from dss.references import Reference, parse


def bundle_of(path: str) -> Reference:
    """Return the bundle that a path `UUID[.VERSION]/…` is in. Raises FileNotFoundError if it names none."""
    try:
        return parse(path.partition("/")[0])
    except InvalidInput as error:
        raise not_found(path, f"paths are dss://UUID[.VERSION]/NAME: {error}") from error


@dataclass(frozen=True)
class Location:
    """A path in a bundle; `prefix` is what names the bundle, with or without its version."""

    prefix: str
    path: str
    tree: BundleTree

    @classmethod
    def of(cls, path: str, tree: BundleTree) -> "Location":
        """Return the location of a path in the bundle that it names."""
        prefix, _, inside = path.partition("/")
        return cls(prefix, inside, tree)

    def __str__(self) -> str:
        return f"{self.prefix}/{self.path}" if self.path else self.prefix

    @property
    def pinned(self) -> str:
        """The same path, with the version of the bundle."""
        return f"{self.tree.fqid}/{self.path}"

    def info(self) -> dict[str, Any]:
        """Return what fsspec calls the info of a path. Raises FileNotFoundError."""
        info = self.tree.info(self.prefix, self.path)
        if info is None:
            raise not_found(str(self), f"bundle {self.tree.fqid} has no such file or directory")
        return info

    def listing(self) -> list[dict[str, Any]]:
        """Return the infos of what is in a directory, or that of a file. Raises FileNotFoundError."""
        info = self.info()
        if info["type"] == "file":
            return [info]
        children = (self.tree.info(self.prefix, path) for path in self.tree.children(self.path))
        return [child for child in children if child]

    def file(self) -> RemoteFile:
        """Return the bytes of a file. Raises FileNotFoundError, or IsADirectoryError."""
        info = self.info()
        remote = self.tree.remote(self.path)
        if info["type"] == "directory" or remote is None:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self))
        return remote
