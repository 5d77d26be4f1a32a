"""A file of a bundle that is open for reading."""

from typing import TYPE_CHECKING, Any

from fsspec.caching import register_cache
from fsspec.spec import AbstractBufferedFile

from dss.filesystem.blocks import BLOCK_BYTES, BlockCache
from dss.filesystem.faults import as_os_error
from dss.reading import RemoteFile, SequentialCheck

if TYPE_CHECKING:
    from dss.filesystem.system import DssFileSystem

register_cache(BlockCache, clobber=True)


class DssFile(AbstractBufferedFile):
    """Reads what is asked for, through a cache of blocks; `cache_type` and `block_size` choose another one.

    If it is read from its beginning to its end, the last read raises WrongContent unless the sha256 is right.
    """

    def __init__(
        self,
        fs: "DssFileSystem",
        path: str,
        remote: RemoteFile,
        *,
        block_size: int | None = None,
        cache_type: str = BlockCache.name,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._remote = remote
        self._check = SequentialCheck(remote.content)
        if block_size is None and cache_type == BlockCache.name:
            block_size = BLOCK_BYTES
        super().__init__(
            fs,
            path,
            "rb",
            block_size,
            cache_type=cache_type,
            cache_options=cache_options,
            **{**kwargs, "size": remote.size},
        )

    def read(self, length: int = -1) -> bytes:
        """Return so many bytes from the current position on, or fewer at the end; all by default."""
        position = self.loc
        data: bytes = super().read(length)
        self._check.saw(position, data)
        return data

    def _fetch_range(self, start: int, end: int) -> bytes:
        with as_os_error(self.path):
            return self._remote.read(start, end)
