"""Directories as an object store: what the contract suite cannot ask of every cloud."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from shared.checksums import MIB, checksums_of
from shared.clock import Deadline, SystemClock
from shared.errors import (
    AccessDenied,
    CopyTakesLonger,
    InvalidChecksum,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    Unavailable,
)
from shared.stores.posix import PosixDirectory
from shared.stores.signed_urls import SignedUrls
from tests.support.copies import SMALL_PART

TEXT = b"some content, of no great length\n"
BUCKET = "bucket"
URLS = SignedUrls(base="http://127.0.0.1:9", key=bytes(32), clock=SystemClock())
ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / BUCKET).mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"not to be seen")
    return tmp_path / "root"


@pytest.fixture
def store(root):
    return PosixDirectory(root, URLS)


def everything_under(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def keys(store: PosixDirectory) -> list[str]:
    """The keys of all that is an object, and no part of an upload."""
    return [found.key for found in store.list(BUCKET, "") if not found.key.startswith(store.parts_prefix)]


def begin(store: PosixDirectory, data: bytes = TEXT, key: str = "blobs/whole"):
    return store.begin_upload(BUCKET, key, size=len(data), content_type="text/plain")


def test_an_object_is_a_plain_file_and_nothing_else_is_left(store, root):
    store.create(BUCKET, "blobs/a", TEXT, "text/x-test")
    assert (root / BUCKET / "blobs" / "a").read_bytes() == TEXT
    upload = begin(store)
    store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT))
    store.finish_upload(upload, checksums_of(TEXT))
    assert everything_under(root) == ["bucket/blobs/a", "bucket/blobs/whole"]


@pytest.mark.parametrize(
    "key",
    [
        "../outside",
        "a/../../outside",
        "..",
        ".",
        "a/./b",
        "/etc/passwd",
        "a//b",
        "a/",
        "",
        "uploads/../../outside",
        "a\0b",
    ],
)
def test_no_key_leads_out_of_its_bucket(store, root, key):
    calls = [
        lambda: store.stat(BUCKET, key),
        lambda: store.create(BUCKET, key, TEXT, "text/plain"),
        lambda: store.delete(BUCKET, key),
        lambda: store.begin_upload(BUCKET, key, size=1, content_type="text/plain"),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()
    assert everything_under(root) == []
    assert (root.parent / "outside").read_bytes() == b"not to be seen"


@pytest.mark.parametrize("bucket", ["..", ".", "", "bucket/..", "../root/bucket", ".dss", "a\0b"])
def test_no_bucket_leads_out_of_the_root(store, bucket):
    for call in (
        store.check_bucket,
        lambda name: store.stat(name, "outside"),
        lambda name: list(store.list(name, "")),
    ):
        with pytest.raises(StoreError):
            call(bucket)


def test_no_upload_leads_out_of_its_bucket(store, root):
    precious = root / BUCKET / "precious"
    precious.mkdir()
    upload = begin(store)
    stranger = type(upload)(**{**vars(upload), "id": "../precious"})
    store.abort_upload(stranger)
    assert precious.is_dir()
    with pytest.raises(ObjectNotFound):
        store.put_part(stranger, 1, io.BytesIO(TEXT), len(TEXT))


def test_a_symbolic_link_is_no_object(store, root):
    (root / BUCKET / "link").symlink_to(root.parent / "outside")
    (root / BUCKET / "folder").symlink_to(root.parent)
    with pytest.raises(ObjectNotFound):
        store.stat(BUCKET, "link")
    assert keys(store) == []


def test_a_missing_bucket_is_not_made(store, root):
    with pytest.raises(ObjectNotFound):
        store.create("other", "a", TEXT, "text/plain")
    assert [path.name for path in root.iterdir()] == [BUCKET]


def test_a_key_is_a_file_or_a_directory(store):
    store.create(BUCKET, "a", TEXT, "text/plain")
    store.create(BUCKET, "b/c/d", TEXT, "text/plain")
    for key in ("a/b", "a/b/c", "b", "b/c"):
        with pytest.raises(StoreError) as refused:
            store.create(BUCKET, key, TEXT, "text/plain")
        assert not isinstance(refused.value, ObjectExists), key
    for key in ("a/b", "b", "b/c"):
        with pytest.raises(ObjectNotFound):
            store.stat(BUCKET, key)
        store.delete(BUCKET, key)
    assert keys(store) == ["a", "b/c/d"]


def test_a_name_that_is_too_long_is_refused(store):
    with pytest.raises(StoreError, match="too long"):
        store.create(BUCKET, "a" * 256, TEXT, "text/plain")


def test_keys_are_in_the_order_of_their_bytes(store):
    names = ["a", "a-b", "a.b", "a/b", "a/c", "a0", "b/c", "b0/c", "b-/c", "é", "z", "😀", "￮"]
    for name in names:
        if name != "a":
            store.create(BUCKET, name, TEXT, "text/plain")
    expected = sorted(set(names) - {"a"}, key=str.encode)
    assert keys(store) == expected
    for after in names:
        behind = [found.key for found in store.list(BUCKET, "", after=after)]
        assert behind == [name for name in expected if name.encode() > after.encode()], after
    for prefix in ("a", "a/", "b", "b/", "b0/c", "c", "../", "uploads/../", "/"):
        found = [found.key for found in store.list(BUCKET, prefix)]
        assert found == [name for name in expected if name.startswith(prefix)], prefix


def test_a_file_that_was_put_there_by_hand_is_served_without_checksums(store, root):
    (root / BUCKET / "foreign").write_bytes(TEXT)
    found = store.stat(BUCKET, "foreign")
    assert (found.size, found.content_type) == (len(TEXT), "application/octet-stream")
    assert (found.md5, found.crc32c) == (None, None)


def test_a_file_that_was_changed_since_is_served_without_checksums(store, root):
    store.create(BUCKET, "a", TEXT, "text/x-test")
    assert store.stat(BUCKET, "a").crc32c == checksums_of(TEXT).crc32c
    (root / BUCKET / "a").write_bytes(TEXT.upper())
    found = store.stat(BUCKET, "a")
    assert (found.md5, found.crc32c, found.content_type) == (None, None, "text/x-test")


def test_a_file_that_was_changed_and_is_renewed_has_no_checksums(store, root):
    store.create(BUCKET, "a", TEXT, "text/x-test")
    (root / BUCKET / "a").write_bytes(TEXT.upper())
    store.renew(store.stat(BUCKET, "a"), SystemClock().now())
    found = store.stat(BUCKET, "a")
    assert (found.md5, found.crc32c, found.content_type) == (None, None, "text/x-test")


def test_a_copy_that_keeps_attributes_and_times_keeps_the_checksums(store, root):
    store.create(BUCKET, "a", TEXT, "text/x-test")
    subprocess.run(["cp", "--preserve=all", root / BUCKET / "a", root / BUCKET / "b"], check=True)
    store.stat(BUCKET, "b").check(checksums_of(TEXT))
    assert store.stat(BUCKET, "b").crc32c == checksums_of(TEXT).crc32c


def test_what_an_open_reader_reads_stays(store):
    store.create(BUCKET, "a", TEXT, "text/plain")
    found = store.stat(BUCKET, "a")
    reader = store.read(found, 0, found.size)
    store.delete(BUCKET, "a")
    store.create(BUCKET, "a", TEXT.upper(), "text/plain")
    assert reader.read() == TEXT


@pytest.mark.parametrize("name", ["sha256", "sha1", "s3_etag", "crc32c"])
def test_each_of_the_four_checksums_is_proved(store, root, name):
    claims = {**vars(checksums_of(TEXT)), name: vars(checksums_of(b"other"))[name]}
    wrong = type(checksums_of(TEXT))(**claims)
    with pytest.raises(InvalidChecksum):
        store.create_from(
            BUCKET, "a", io.BytesIO(TEXT), size=len(TEXT), content_type="text/plain", checksums=wrong
        )
    upload = begin(store)
    store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT))
    with pytest.raises(InvalidChecksum):
        store.finish_upload(upload, wrong)
    store.abort_upload(upload)
    assert everything_under(root) == []


def test_a_copy_that_takes_longer_leaves_nothing(store, root):
    store.create(BUCKET, "a", TEXT, "text/plain")
    with pytest.raises(CopyTakesLonger):
        store.copy(
            store.stat(BUCKET, "a"),
            BUCKET,
            "b",
            checksums=checksums_of(TEXT),
            deadline=Deadline(SystemClock(), 0),
        )
    assert everything_under(root) == ["bucket/a"]


@pytest.mark.usefixtures("small_parts")
def test_a_range_of_an_object_becomes_a_part(store):
    data = os.urandom(SMALL_PART + MIB)
    store.create(BUCKET, "a", data, "text/plain")
    source = store.stat(BUCKET, "a")
    upload = begin(store, data)
    store.copy_part(upload, 2, source, SMALL_PART, MIB)
    store.copy_part(upload, 1, source, 0, SMALL_PART)
    store.finish_upload(upload, checksums_of(data))
    assert store.read_all(BUCKET, "blobs/whole") == data


def test_an_upload_that_another_one_overtook_says_so(store):
    upload = begin(store)
    store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT))
    store.create(BUCKET, "blobs/whole", TEXT, "text/plain")
    with pytest.raises(ObjectExists):
        store.finish_upload(upload, checksums_of(TEXT))


def test_a_part_of_an_aborted_upload_is_refused_and_leaves_nothing(store, root):
    upload = begin(store)
    store.abort_upload(upload)
    with pytest.raises(ObjectNotFound):
        store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT))
    assert everything_under(root) == []


def test_a_file_system_without_attributes_is_refused(store, root, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "getxattr", unsupported)
    monkeypatch.setattr(os, "setxattr", unsupported)
    with pytest.raises(StoreError, match="not supported"):
        store.check_bucket(BUCKET)
    with pytest.raises(StoreError, match="not supported"):
        store.create(BUCKET, "a", TEXT, "text/plain")
    assert everything_under(root) == []


@pytest.mark.parametrize(("number", "error"), [(28, Unavailable), (5, Unavailable), (13, AccessDenied)])
def test_what_the_disk_says_is_said_in_words_of_the_house(store, root, monkeypatch, number, error):
    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(error, match=os.strerror(number)):
        store.create(BUCKET, "a", TEXT, "text/plain")
    assert everything_under(root) == []


def test_a_name_is_given_only_to_what_is_on_the_disk(store, monkeypatch):
    done = []
    for name in ("fsync", "setxattr", "link"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (done.append(name), real(*args))[1])
    store.create(BUCKET, "blobs/a", TEXT, "text/plain")
    assert done[done.index("setxattr") :] == ["setxattr", "fsync", "link", "fsync", "fsync"]


def test_a_part_is_there_only_when_it_is_on_the_disk(store, monkeypatch):
    upload = begin(store)
    real, seen = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: (seen.append(dict(store.parts(upload))), real(file)))
    store.put_part(upload, 1, io.BytesIO(TEXT), len(TEXT))
    # What it is, then its directory: only in between it gets its name.
    assert seen == [{}, {1: len(TEXT)}, {1: len(TEXT)}]


# A writer that stops within a step, so that it can be killed there.
WRITER = """
import io, os, sys, time
from pathlib import Path
from shared.checksums import checksums_of
from shared.clock import SystemClock
from shared.stores import plain
from shared.stores.posix import PosixDirectory
from shared.stores.signed_urls import SignedUrls

root, step, how = sys.argv[1:]
def stop(*_):
    print("there", flush=True)
    time.sleep(60)
data = bytes(range(256)) * 4096
plain._CHUNK = 1024
class Half(io.BytesIO):
    def read(self, size=-1):
        return super().read(size) if self.tell() == 0 else stop()
store = PosixDirectory(Path(root), SignedUrls(base="", key=bytes(32), clock=SystemClock()))
wanted = {"size": len(data), "content_type": "text/plain"}
source = Half(data) if step == "half" else io.BytesIO(data)
if how == "finish":
    upload = store.begin_upload("bucket", "blobs/a", **wanted)
    store.put_part(upload, 1, source, len(data))
if step != "half":
    setattr(os, step, stop)
if how == "create":
    store.create_from("bucket", "blobs/a", source, checksums=checksums_of(data), **wanted)
else:
    store.finish_upload(upload, checksums_of(data))
"""


@pytest.mark.parametrize("how", ["create", "finish"])
@pytest.mark.parametrize("step", ["half", "setxattr", "link", "unlink"])
def test_a_kill_leaves_nothing_to_be_seen_and_a_retry_finishes(store, root, step, how):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), step, how], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert writer.stdout.readline() == "there\n"
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()

    linked = ["blobs/a"] if step == "unlink" else []
    assert keys(store) == linked
    list(map(store.abort_upload, store.uploads(BUCKET)))
    assert everything_under(root / BUCKET) == linked

    data = bytes(range(256)) * 4096
    with contextlib.nullcontext() if not linked else pytest.raises(ObjectExists):
        store.create(BUCKET, "blobs/a", data, "text/plain")
    assert store.stat(BUCKET, "blobs/a").crc32c == checksums_of(data).crc32c
    assert (root / BUCKET / "blobs" / "a").read_bytes() == data


def test_random_kills_leave_whole_objects_or_none(store, root):
    """Killed wherever it happens to be, ten times: what is listed proves right."""
    program = WRITER.partition("root, step, how")[0] + (
        "store = PosixDirectory(Path(sys.argv[1]), SignedUrls(base='', key=bytes(32), clock=SystemClock()))\n"
        "for number in range(10**6):\n"
        "    store.create('bucket', f'{sys.argv[2]}/{number}', b'%d' % number * 50_000, 'text/plain')\n"
        "    if number == 0: print('there', flush=True)\n"
    )
    for run in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-c", program, str(root), str(run)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert writer.stdout.readline() == "there\n"
        time.sleep(0.01 * run)
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert len(keys(store)) >= 10
    for found in map(partial(store.stat, BUCKET), keys(store)):
        data = (root / BUCKET / found.key).read_bytes()
        assert data == found.key.partition("/")[2].encode() * 50_000
        assert found.crc32c == checksums_of(data).crc32c


def test_the_attribute_says_what_the_file_is(store, root):
    store.create(BUCKET, "a", TEXT, "text/x-test")
    said = json.loads(os.getxattr(root / BUCKET / "a", "user.dss"))
    assert said["content_type"] == "text/x-test"
    assert {name: said[name] for name in vars(checksums_of(TEXT))} == vars(checksums_of(TEXT))
