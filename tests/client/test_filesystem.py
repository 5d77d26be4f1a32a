"""`dss://` paths in fsspec: names, requests, expired URLs, wrong bytes."""

import asyncio
import errno
import importlib
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from dss.errors import MissingExtra, WrongContent
from dss.filesystem import DssFileSystem
from dss.identifiers import moment_of
from shared.checksums import checksums_of
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault

FQID = f"{BUNDLE}.{VERSION}"
LARGE = bytes(number % 253 for number in range(300_000))


@pytest.fixture
def fs(fake: FakeDss) -> DssFileSystem:
    fake.names = {
        "README": b"read me",
        "cells/1.csv": b"a,b\n1,2\n",
        "cells/more/2.csv": b"a,b\n3,4\n",
        "cells/large.bin": LARGE,
        "empty": b"",
    }
    # Paths on other ports are other instances, so that tests share none.
    return fsspec.filesystem("dss", endpoint_url=fake.url, token="a.token")


def manifests(fake: FakeDss) -> int:
    """Return the number of requests for a bundle."""
    return len(fake.requests("GET", "/bundles/"))


def ranges(fake: FakeDss) -> list[str | None]:
    """Return what was asked for of the content of files."""
    return [seen.headers.get("Range") for seen in fake.requests("GET", "/blob/")]


def test_a_bundle_is_a_directory_that_takes_one_request(fs: DssFileSystem, fake: FakeDss) -> None:
    root = f"dss://{BUNDLE}"

    assert fs.ls(root, detail=False) == [f"{BUNDLE}/{name}" for name in ("README", "cells", "empty")]
    assert fs.ls(f"{root}/cells/", detail=False) == [
        f"{BUNDLE}/cells/{name}" for name in ("1.csv", "large.bin", "more")
    ]
    assert fs.find(root) == sorted(f"{BUNDLE}/{name}" for name in fake.names)
    assert fs.glob(f"{root}/**/*.csv") == [f"{BUNDLE}/cells/1.csv", f"{BUNDLE}/cells/more/2.csv"]
    assert fs.glob(f"{root}/cells/?.csv") == [f"{BUNDLE}/cells/1.csv"]
    assert [row[1:] for row in fs.walk(root)] == [
        (["cells"], ["README", "empty"]),
        (["more"], ["1.csv", "large.bin"]),
        ([], ["2.csv"]),
    ]
    assert fs.du(root) == sum(map(len, fake.names.values()))
    assert fs.isdir(root)
    assert fs.isdir(f"{root}/cells/more")
    assert fs.isfile(f"{root}/README")
    assert fs.exists(f"dss://{FQID}/empty")
    assert fs.cat(f"{root}/cells/*.csv") == {f"{BUNDLE}/cells/1.csv": b"a,b\n1,2\n"}
    assert fs.read_text(f"{root}/README") == "read me"
    assert manifests(fake) == 1
    assert fake.seen[0].query == {"replica": "gcp", "per_page": "500", "presignedurls": "true"}


def test_info_says_what_a_file_is(fs: DssFileSystem, fake: FakeDss) -> None:
    info = fs.info(f"dss://{FQID}/README")
    sums = checksums_of(b"read me")

    assert {name: info[name] for name in ("name", "size", "type", "sha256", "uuid", "version", "bundle")} == {
        "name": f"{FQID}/README",
        "size": 7,
        "type": "file",
        "sha256": sums.sha256,
        "uuid": fake.uuid_of("README"),
        "version": VERSION,
        "bundle": FQID,
    }
    assert fs.ukey(f"{BUNDLE}/README") == sums.sha256
    assert fs.checksum(f"{BUNDLE}/README") == int(sums.sha256, 16)
    assert fs.created(f"{BUNDLE}/README") == fs.modified(BUNDLE) == moment_of(VERSION)
    assert fs.ukey(f"{BUNDLE}/cells") == f"{FQID}/cells"


def test_names_that_no_directory_can_hold_are_where_a_download_puts_them(fake: FakeDss) -> None:
    fake.names = {"a": b"1", "a/b": b"2", "a//c": b"3", "a/" + "long" * 100: b"4"}
    fs = DssFileSystem(endpoint_url=fake.url)

    assert fs.cat(BUNDLE, recursive=True, on_error="omit") == {
        f"{BUNDLE}/a/b": b"2",
        f"{BUNDLE}/a/c": b"3",
        f"{BUNDLE}/a/{'long' * 100}": b"4",
        f"{BUNDLE}/a~1": b"1",
    }
    assert fs.cat(f"{BUNDLE}/a//c") == b"3"


@pytest.mark.parametrize(
    "path",
    [
        f"dss://{BUNDLE}/nothing",
        f"dss://{BUNDLE}/cells/1.csv/below",
        f"dss://{FQID}/README2",
        "dss://33333333-3333-4333-8333-333333333333/README",
        f"dss://{BUNDLE}.2026-99-99/README",
        "dss://no-uuid/README",
    ],
)
def test_what_is_missing_is_not_found(fs: DssFileSystem, path: str) -> None:
    for ask in (fs.info, fs.ls, fs.open, fs.cat_file, fs.sign, fs.created, fs.checksum):
        with pytest.raises(FileNotFoundError):
            ask(path)
    assert not fs.exists(path)
    assert fs.cat_ranges([path], 0, 5)[0].errno == errno.ENOENT


def test_all_bundles_are_not_listed(fs: DssFileSystem, fake: FakeDss) -> None:
    for ask in (fs.ls, fs.find):
        with pytest.raises(ValueError, match="give dss://UUID"):
            ask("dss://")
    assert fs.isdir("dss://")
    assert fake.seen == []


def test_directories_are_not_read(fs: DssFileSystem) -> None:
    for ask in (fs.open, fs.cat_file, fs.sign, fs.checksum):
        with pytest.raises(IsADirectoryError):
            ask(f"{BUNDLE}/cells")


@pytest.mark.parametrize("status", [401, 403])
def test_what_may_not_be_read_is_a_permission_error(fs: DssFileSystem, fake: FakeDss, status: int) -> None:
    fake.broken["GET", "/bundles/"] = Fault(status=status, body={"code": "Forbidden", "title": "ask Ann"})

    with pytest.raises(PermissionError, match="ask Ann"):
        fs.info(f"{BUNDLE}/README")
    with pytest.raises(PermissionError):
        fs.exists(f"{BUNDLE}/README")


def test_a_bundle_with_a_file_of_others_is_listed_and_its_other_files_are_read(
    fs: DssFileSystem, fake: FakeDss
) -> None:
    fake.fault("GET", f"/bundles/{BUNDLE}", Fault(status=403))
    fake.broken["GET", f"/files/{fake.uuid_of('README')}"] = Fault(status=403, body={"title": "ask Ann"})

    assert len(fs.find(BUNDLE)) == 5
    assert fs.cat_file(f"{BUNDLE}/cells/1.csv") == b"a,b\n1,2\n"
    for read in (fs.cat_file, fs.sign, lambda path: fs.open(path).read()):
        with pytest.raises(PermissionError, match="ask Ann"):
            read(f"{BUNDLE}/README")


def test_bytes_that_are_not_in_the_store_are_no_missing_file(fs: DssFileSystem, fake: FakeDss) -> None:
    """Zarr fills a missing chunk with zeros."""
    fake.broken["GET", "/blob/"] = Fault(status=404)

    with pytest.raises(Exception, match="404") as caught:
        fs.cat_file(f"{BUNDLE}/README")

    assert not isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    "write",
    [
        lambda fs, path: fs.open(path, "wb"),
        lambda fs, path: fs.open(path, "a"),
        lambda fs, path: fs.pipe(path, b"x"),
        lambda fs, path: fs.write_text(path, "x"),
        lambda fs, path: fs.put(__file__, path),
        lambda fs, path: fs.touch(path),
        lambda fs, path: fs.rm(path),
        lambda fs, path: fs.rm_file(path),
        lambda fs, path: fs.mv(path, path + "2"),
        lambda fs, path: fs.copy(path, path + "2"),
        lambda fs, path: fs.mkdir(path),
        lambda fs, path: fs.makedirs(path),
        lambda fs, path: fs.rmdir(path),
    ],
)
def test_writing_is_refused_and_says_what_to_do(
    fs: DssFileSystem, write: Callable[[DssFileSystem, str], Any]
) -> None:
    with pytest.raises(OSError, match="dss upload") as caught:
        write(fs, f"{BUNDLE}/README")

    assert caught.value.errno == errno.EROFS


def test_a_version_is_found_once_until_the_cache_is_invalidated(fs: DssFileSystem, fake: FakeDss) -> None:
    fs.info(f"{BUNDLE}/README")
    fs.info(f"{FQID}/README")
    assert manifests(fake) == 1

    fs.invalidate_cache(f"dss://{BUNDLE}")
    fs.info(f"{FQID}/README")
    assert manifests(fake) == 1
    fs.info(f"{BUNDLE}/README")
    assert manifests(fake) == 2

    fs.invalidate_cache()
    fs.info(f"{FQID}/README")
    assert manifests(fake) == 3


def test_threads_that_come_at_once_make_one_request(fs: DssFileSystem, fake: FakeDss) -> None:
    start = threading.Barrier(8)

    def look(number: int) -> bool:
        start.wait(60)
        return fs.exists(f"{FQID if number % 2 else BUNDLE}/README")

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(look, range(8)))

    # The version and the bundle without one may be asked for at once.
    assert manifests(fake) <= 2


def test_an_expired_url_is_replaced_once_and_reading_goes_on(fs: DssFileSystem, fake: FakeDss) -> None:
    uuid, name = fake.uuid_of("cells/large.bin"), "/blob/3"
    fake.fault("GET", name, Fault(cut_after=1000), Fault(expire=True))

    with fs.open(f"{BUNDLE}/cells/large.bin", cache_type="none") as file:
        file.seek(5000)
        assert file.read(20_000) == LARGE[5000:25_000]
        assert ranges(fake) == ["bytes=5000-24999", "bytes=6000-24999", "bytes=6000-24999"]
        assert len(fake.requests("GET", f"/files/{uuid}")) == 1

        file.read(10)
        assert len(fake.requests("GET", f"/files/{uuid}")) == 1

    fake.signature += 1
    assert fs.cat_file(f"{FQID}/cells/large.bin", 10, 20) == LARGE[10:20]
    assert len(fake.requests("GET", f"/files/{uuid}")) == 2
    assert manifests(fake) == 1


def test_wrong_bytes_are_noticed_where_a_file_is_read_whole(
    fs: DssFileSystem, fake: FakeDss, tmp_path: Path
) -> None:
    path = f"{BUNDLE}/cells/large.bin"
    fake.broken["GET", "/blob/3"] = Fault(rot=True)

    with pytest.raises(WrongContent, match="sha256"):
        fs.cat_file(path)
    with pytest.raises(WrongContent, match="sha256"):
        fs.get(path, str(tmp_path / "copy"))
    with pytest.raises(WrongContent, match="sha256"), (tmp_path / "stream").open("wb") as stream:
        fs.get_file(path, stream)
    [failure] = fs.cat_ranges([path], 0, None)
    assert isinstance(failure, WrongContent)
    file = fs.open(path)
    assert len(file.read(200_000)) == 200_000
    file.seek(100_000)
    with pytest.raises(WrongContent, match="sha256"):
        file.read()
    assert [entry.name for entry in tmp_path.iterdir()] == ["stream"]


def test_right_bytes_pass_whatever_the_order(fs: DssFileSystem) -> None:
    with fs.open(f"{BUNDLE}/cells/large.bin") as file:
        file.seek(-10, 2)
        assert file.read() == LARGE[-10:]
        file.seek(0)
        assert b"".join(iter(lambda: file.read(7777), b"")) == LARGE
    assert fs.cat_file(f"{BUNDLE}/empty") == fs.open(f"{BUNDLE}/empty").read() == b""


def test_near_ranges_are_one_request_and_others_run_at_once(fs: DssFileSystem, fake: FakeDss) -> None:
    path, other = f"{BUNDLE}/cells/large.bin", f"{BUNDLE}/README"
    # A request is only answered once all are there.
    together = threading.Barrier(4)
    fake.read_delay = lambda: waited.append(together.wait(60))
    waited: list[int] = []

    parts = fs.cat_ranges(
        [path, path, path, path, other], [90, 10, 200_000, -5, 2], [100, 20, 200_100, None, 4]
    )

    assert parts == [LARGE[90:100], LARGE[10:20], LARGE[200_000:200_100], LARGE[-5:], b"ad"]
    assert sorted(map(str, ranges(fake))) == [
        "bytes=10-99",
        "bytes=2-3",
        "bytes=200000-200099",
        "bytes=299995-299999",
    ]
    assert len(waited) == 4


def test_ranges_of_many_files(fs: DssFileSystem, fake: FakeDss) -> None:
    path = f"{BUNDLE}/cells/large.bin"

    apart = fs.cat_ranges([path, path], [0, 100], [10, 110], max_gap=50)
    mixed = fs.cat_ranges([f"{BUNDLE}/README", f"{BUNDLE}/nothing", path], 5, 5)

    assert apart == [LARGE[:10], LARGE[100:110]]
    assert sorted(filter(None, ranges(fake))) == ["bytes=0-9", "bytes=100-109"]
    assert (mixed[0], mixed[2]) == (b"", b"")
    assert isinstance(mixed[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([f"{BUNDLE}/nothing", path], 0, 5, on_error="raise")


@pytest.mark.usefixtures("fs")
def test_it_works_in_an_event_loop(fake: FakeDss) -> None:
    async def read() -> tuple[bytes, list[str]]:
        own = DssFileSystem(endpoint_url=fake.url, asynchronous=True)
        return await own._cat_file(f"{BUNDLE}/README"), await own._find(BUNDLE)

    content, names = asyncio.run(read())

    assert (content, len(names)) == (b"read me", 5)


def test_file_systems_and_open_files_can_be_pickled(fs: DssFileSystem) -> None:
    file = fs.open(f"{BUNDLE}/cells/large.bin")
    file.read(100)

    again = pickle.loads(pickle.dumps(file))

    assert again.read(50) == LARGE[100:150]
    assert again.path == f"{FQID}/cells/large.bin"
    assert pickle.loads(pickle.dumps(fs)) is fs
    DssFileSystem.clear_instance_cache()
    copy = pickle.loads(pickle.dumps(fs))
    assert copy is not fs
    assert copy.cat_file(f"{BUNDLE}/README") == b"read me"


def test_instances_are_shared_by_those_with_the_same_options(fs: DssFileSystem, fake: FakeDss) -> None:
    options = {"endpoint_url": fake.url, "token": "a.token"}

    assert fsspec.filesystem("dss", **options) is fs
    for name in ("endpoint_url", "token", "profile", "replica"):
        assert fsspec.filesystem("dss", **{**options, name: "other"}) is not fs


@pytest.mark.usefixtures("fs")
def test_without_options_it_uses_what_the_environment_says(
    fake: FakeDss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSS_URL", fake.url)
    monkeypatch.setenv("DSS_TOKEN", "another.token")
    monkeypatch.setenv("DSS_REPLICA", "aws")
    DssFileSystem.clear_instance_cache()

    with fsspec.open(f"dss://{BUNDLE}/README") as file:
        assert file.read() == b"read me"

    assert fake.seen[0].query["replica"] == "aws"
    assert fake.seen[0].headers["Authorization"] == "Bearer another.token"
    DssFileSystem.clear_instance_cache()


def test_a_directory_is_copied(fs: DssFileSystem, fake: FakeDss, tmp_path: Path) -> None:
    fs.get(f"dss://{BUNDLE}", str(tmp_path / "copy"), recursive=True)

    found = {
        str(path.relative_to(tmp_path / "copy")): path.read_bytes()
        for path in (tmp_path / "copy").rglob("*")
        if path.is_file()
    }
    assert found == fake.names
    assert manifests(fake) == 1


def test_a_signed_url_is_a_new_one(fs: DssFileSystem, fake: FakeDss) -> None:
    fs.info(f"{BUNDLE}/README")
    fake.signature += 1

    assert fs.sign(f"{BUNDLE}/README") == fake.signed("README")


def test_without_fsspec_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.delitem(sys.modules, "dss.filesystem")

    with pytest.raises(MissingExtra, match=r"pip install 'dss-client\[pandas\]'"):
        importlib.import_module("dss.filesystem")
