"""A journal says no more than what was done, whenever its writer was killed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.checksums import Checksums
from dss.errors import Busy, InvalidInput
from dss.transfer.upload_state import BundleEntry, FileEntry, UploadState, default_path, open_state

IDENTITY = {"directory": "/d", "url": "http://x/v1", "replica": "gcp"}


def _entry(number: int, *, put: bool) -> FileEntry:
    return FileEntry(
        name=f"f{number}",
        uuid=f"u{number}",
        version="v",
        size=1,
        mtime_ns=2,
        checksums=Checksums(sha256="a", sha1="b", s3_etag="c", crc32c="d"),
        staged="gs://b/k",
        put=put,
    )


@given(cut=st.integers(0, 5000), steps=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_a_journal_cut_anywhere_is_the_state_of_some_earlier_moment(
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


def test_the_bundle_is_remembered(tmp_path: Path) -> None:
    entry = BundleEntry(uuid="u", version="v", digest="d", done=True)
    journal = UploadState(tmp_path / "j", IDENTITY)
    journal.record_bundle(entry)

    assert UploadState(tmp_path / "j", IDENTITY).bundle == entry


@pytest.mark.parametrize("content", ["nonsense", "nonsense\n", "[]\n", '{"upload": {}}\n', "1\n2\n"])
def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)

    with pytest.raises(InvalidInput):
        UploadState(path, IDENTITY)

    assert path.read_text() == content


def test_two_processes_do_not_share_a_journal(tmp_path: Path) -> None:
    def opened() -> object:
        return open_state(tmp_path / "j", directory=Path("/d"), url="http://x/v1", replica="gcp")

    with opened(), pytest.raises(Busy, match="another process"), opened():  # type: ignore[attr-defined]
        pass


def test_each_upload_has_a_journal_of_its_own(tmp_path: Path) -> None:
    paths = {
        default_path(tmp_path / directory, url, replica)
        for directory in ("a", "b")
        for url in ("http://x/v1", "http://y/v1")
        for replica in ("gcp", "aws")
    }

    assert len(paths) == 8
    assert all(path.is_relative_to(tmp_path / "cache") for path in paths)
