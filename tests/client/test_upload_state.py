"""The state of an upload says no more than what was done, wherever its writer was killed."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.checksums import Checksums
from dss.errors import Busy, InvalidInput, NotRecorded
from dss.transfer.directory import Stamp
from dss.transfer.upload_state import BundleEntry, FileEntry, UploadState, default_path, open_state

IDENTITY = {"directory": "/d", "url": "http://x/v1", "replica": "gcp"}


def _entry(number: int, *, put: bool) -> FileEntry:
    return FileEntry(
        name=f"f{number}",
        uuid=f"u{number}",
        version="v",
        stamp=Stamp(1, 2, 3, 4),
        checksums=Checksums(sha256="a", sha1="b", s3_etag="c", crc32c="d"),
        staged="gs://b/k",
        put=put,
    )


@given(cut=st.integers(0, 5000), steps=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_a_state_file_cut_anywhere_is_an_earlier_state(
    tmp_path_factory: pytest.TempPathFactory, cut: int, steps: list[tuple[int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    journal = UploadState(path, IDENTITY)
    moments = [dict(journal.files)]
    for number, put in steps:
        journal.record_file(_entry(number, put=put))
        moments.append(dict(journal.files))
    journal.close()
    written = path.read_bytes()
    # The first line is written together with the file, at once.
    path.write_bytes(written[: max(cut, written.index(b"\n") + 1)])

    again = UploadState(path, IDENTITY)
    # And what the next run appends is not lost in the torn line.
    again.record_file(_entry(9, put=True))
    third = UploadState(path, IDENTITY)

    assert {name: entry for name, entry in again.files.items() if name != "f9"} in moments
    assert third.files == again.files


def test_the_bundle_is_recorded(tmp_path: Path) -> None:
    entry = BundleEntry(uuid="u", version="v", digest="d", done=True)
    journal = UploadState(tmp_path / "j", IDENTITY)
    journal.record_bundle(entry)

    assert UploadState(tmp_path / "j", IDENTITY).bundle == entry


@pytest.mark.parametrize(
    "content", ["nonsense", "nonsense\n", "[]\n", '{"upload": {}}\n', "1\n2\n", "\n\n", '{"upload": {}}']
)
def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)

    with pytest.raises(InvalidInput):
        UploadState(path, IDENTITY)

    assert path.read_text() == content


def test_two_processes_do_not_share_a_state_file(tmp_path: Path) -> None:
    def opened() -> object:
        return open_state(tmp_path / "j", directory=Path("/d"), url="http://x/v1", replica="gcp")

    with opened(), pytest.raises(Busy, match="another process"), opened():  # type: ignore[attr-defined]
        pass


def test_each_upload_has_its_own_state_file(tmp_path: Path) -> None:
    paths = {
        default_path(tmp_path / directory, url, replica)
        for directory in ("a", "b")
        for url in ("http://x/v1", "http://y/v1")
        for replica in ("gcp", "aws")
    }

    assert len(paths) == 8
    assert all(path.is_relative_to(tmp_path / "cache") for path in paths)


@contextlib.contextmanager
def full_disk(path: Path, room: int) -> Iterator[None]:
    """Let no file grow beyond `room` bytes more than this one has, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_torn_by_a_full_disk_costs_that_line_only(tmp_path: Path) -> None:
    state = UploadState(tmp_path / "j", IDENTITY)
    state.record_file(_entry(1, put=True))
    with full_disk(state.path, room=40), pytest.raises(NotRecorded, match="No space left"):
        state.record_file(_entry(2, put=True))
    with full_disk(state.path, room=0), pytest.raises(NotRecorded, match="File too large"):
        state.record_file(_entry(2, put=True))
    state.record_file(_entry(3, put=True))
    state.close()

    again = UploadState(tmp_path / "j", IDENTITY)

    assert set(state.files) == set(again.files) == {"f1", "f3"}
    assert again.unreadable_lines == 1
    assert UploadState(tmp_path / "j", IDENTITY).unreadable_lines == 0


@given(st.data())
def test_a_damaged_line_costs_that_line_only(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("state") / "j.jsonl"
    state = UploadState(path, IDENTITY)
    for number in range(4):
        state.record_file(_entry(number, put=True))
    state.close()
    head, *lines = path.read_bytes().splitlines()
    damaged = data.draw(st.integers(0, 3))
    lines[damaged] = data.draw(st.binary(max_size=30).filter(lambda line: b"\n" not in line))
    path.write_bytes(b"\n".join([head, *lines, b""]))

    again = UploadState(path, IDENTITY)

    assert set(again.files) == {f"f{number}" for number in range(4)} - {f"f{damaged}"}
