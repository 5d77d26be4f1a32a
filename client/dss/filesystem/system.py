"""`DssFileSystem`: bundles as directories that are read over the network."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.utils import isfilelike

from dss.atomic_files import replacing
from dss.client import Client
from dss.filesystem.batches import MAX_GAP_BYTES, Batch, batches
from dss.filesystem.faults import as_os_error, read_only
from dss.filesystem.file import DssFile
from dss.filesystem.location import Location, bundle_of
from dss.filesystem.manifests import Manifests
from dss.identifiers import moment_of
from dss.reading import RemoteFile

T = TypeVar("T")

# Requests at once; each has a thread and a connection, which are kept.
_THREADS = 16


class DssFileSystem(AsyncFileSystem):
    """Bundles of one DSS, each a directory; see client/README.md::

        import pandas

        pandas.read_parquet(f"dss://{uuid}/cells.parquet", columns=["gene"])

    `endpoint_url`, `token`, `profile` and `replica` are `url` and so on of `dss.Client`, and have its
    defaults. A bundle is one request; what it lists is kept, and so is the version that a path without one
    means, until `invalidate_cache`. What is missing raises FileNotFoundError, what you may not read
    PermissionError; other errors are those of `dss.Client`. Nothing can be written.
    """

    protocol = "dss"

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        token: str | None = None,
        profile: str | None = None,
        replica: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # fsspec's own functions have an argument `url`, so that no option can have this name.
        options = {"url": endpoint_url, "token": token, "profile": profile, "replica": replica}
        self._options: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        self._lock = threading.Lock()
        self._opened: tuple[Client, Manifests] | None = None
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="dss")

    @property
    def client(self) -> Client:
        """The client that it uses; made when it is first needed. Raises InvalidInput if it can't be."""
        return self._open_client()[0]

    def _open_client(self) -> tuple[Client, Manifests]:
        with self._lock:
            if self._opened is None:
                client = Client(**self._options)
                self._opened = client, Manifests(client)
            return self._opened

    def invalidate_cache(self, path: str | None = None) -> None:
        """Find the newest version of a path's bundle anew when it is used next; of all without a path."""
        super().invalidate_cache(path)
        if self._opened:
            self._opened[1].forget(bundle_of(self._strip_protocol(path)).uuid if path else None)

    # Looking up

    def _locate_now(self, path: str) -> Location:
        path = self._strip_protocol(path)
        with as_os_error(path, missing=True):
            return Location.of(path, self._open_client()[1].get(bundle_of(path)))

    async def _locate(self, path: str) -> Location:
        stripped = self._strip_protocol(path)
        tree = self._opened and self._opened[1].known(bundle_of(stripped))
        return Location.of(stripped, tree) if tree else await self._in_thread(self._locate_now, path)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        if not self._strip_protocol(path):
            return {"name": "", "size": 0, "type": "directory"}
        return (await self._locate(path)).info()

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        if not self._strip_protocol(path):
            raise ValueError("dss:// has too many bundles to list; give dss://UUID[.VERSION]/NAME")
        infos = (await self._locate(path)).listing()
        return infos if detail else [info["name"] for info in infos]

    def created(self, path: str) -> datetime:
        """Return when a file, or the bundle of a directory, was made: its version, as a time in UTC."""
        location = self._locate_now(path)
        return moment_of(location.info().get("version", location.tree.version))

    def modified(self, path: str) -> datetime:
        """Return the same as `created`: a version never changes."""
        return self.created(path)

    def ukey(self, path: str) -> str:
        """Return the sha256 of a file in hex, or the bundle and path of a directory."""
        location = self._locate_now(path)
        return str(location.info().get("sha256", location.pinned))

    def checksum(self, path: str) -> int:
        """Return the sha256 of a file as a number. Raises IsADirectoryError."""
        return int(self._locate_now(path).file().content.sha256, 16)

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        """Return a new URL that serves a file to anyone, for as long as the DSS is set to, mostly an hour.

        `expiration` can't change that.
        """
        location = self._locate_now(path)
        location.file()
        info = location.info()
        with as_os_error(str(location)):
            return self.client.get_file(info["uuid"], info["version"])[1].url

    # Reading

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> DssFile:
        if mode != "rb":
            raise read_only(path)
        location = self._locate_now(path)
        # A pickled file is opened again: of the same version.
        return DssFile(
            self,
            location.pinned,
            location.file(),
            block_size=block_size,
            cache_options=cache_options,
            **kwargs,
        )

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        contents: list[bytes] = await self._cat_ranges([path], [start], [end], on_error="raise")
        return contents[0]

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return the bytes of ranges of files, all at once; ranges of a file that are near are one request.

        `max_gap` is how many bytes may be between those, 64 KiB by default. A file that is read whole is
        verified.
        """
        wanted: dict[str, list[int]] = {}
        for index, path in enumerate(paths):
            wanted.setdefault(path, []).append(index)
        first, last = _for_each(starts, len(paths)), _for_each(ends, len(paths))
        results: list[Any] = [b""] * len(paths)

        async def read(path: str, indexes: list[int]) -> None:
            slices = [slice(first[index], last[index]) for index in indexes]
            contents = await self._read_slices(path, slices, MAX_GAP_BYTES if max_gap is None else max_gap)
            for index, content in zip(indexes, contents, strict=True):
                results[index] = content

        failures = await asyncio.gather(*(read(*row) for row in wanted.items()), return_exceptions=True)
        for indexes, failure in zip(wanted.values(), failures, strict=True):
            if failure and on_error != "return":
                raise failure
            if failure:
                for index in indexes:
                    results[index] = failure
        return results

    async def _read_slices(self, path: str, slices: list[slice], max_gap: int) -> list[bytes]:
        """Return parts of one file, negative positions counting from its end."""
        location = await self._locate(path)
        file = location.file()
        ranges = [part.indices(file.size)[:2] for part in slices]

        async def fetch(batch: Batch) -> tuple[Batch, bytes]:
            return batch, await self._in_thread(_read, str(location), file, batch)

        contents = [b""] * len(slices)
        for batch, data in await asyncio.gather(*map(fetch, batches(ranges, max_gap=max_gap))):
            for index in batch.members:
                start, end = ranges[index]
                contents[index] = data[start - batch.start : max(0, end - batch.start)]
        return contents

    async def _get_file(
        self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        """Copy a file to a path, which has it only once it is complete and its sha256 right."""
        location = await self._locate(rpath)
        if isfilelike(lpath):
            await self._in_thread(_copy, location, lpath.write, callback)
        elif location.info()["type"] == "directory":
            Path(lpath).mkdir(parents=True, exist_ok=True)
        else:
            await self._in_thread(_save, location, Path(lpath), callback)

    # Writing: bundles are made by `dss upload`.

    async def _pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        raise read_only(path)

    async def _put_file(self, lpath: Any, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        raise read_only(rpath)

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        raise read_only(path2)

    async def _rm(self, path: Any, **kwargs: Any) -> None:
        raise read_only(str(path))

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        raise read_only(path)

    async def _mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        raise read_only(path)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise read_only(path)

    def rmdir(self, path: str) -> None:
        """Raise OSError, as all that would change a bundle."""
        raise read_only(path)


def _for_each(value: Any, count: int) -> list[int | None]:
    return list(value) if isinstance(value, Iterable) else [value] * count


def _read(path: str, file: RemoteFile, batch: Batch) -> bytes:
    with as_os_error(path):
        if batch.end - batch.start >= file.size:
            return file.read_all()
        return file.read(batch.start, batch.end)


def _copy(location: Location, write: Callable[[bytes], Any], callback: Callback) -> None:
    file = location.file()
    callback.set_size(file.size)

    def pass_on(data: bytes) -> None:
        write(data)
        callback.relative_update(len(data))

    with as_os_error(str(location)):
        file.copy_to(pass_on)


def _save(location: Location, target: Path, callback: Callback) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as stream:
        _copy(location, stream.write, callback)
