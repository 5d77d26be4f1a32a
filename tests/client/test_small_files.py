"""Small files go to the DSS itself, many in one request, and need no staging bucket."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.client import Client
from dss.reports import UploadReport
from dss.transfer.directory import LocalFile, Stamp
from dss.transfer.small_files import MOST_BYTES, MOST_FILES, SMALL_BYTES, batches
from dss.transfer.upload import UploadOptions, upload
from tests.client.test_upload import Shelf
from tests.support.fake_dss import FakeDss, Fault, HeldClock

COUNT = 2 * MOST_FILES + 1


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def data(tmp_path: Path, fake: FakeDss) -> Path:
    """Files of three requests, for a DSS that takes them."""
    fake.takes_batches = True
    directory = tmp_path / "data"
    directory.mkdir()
    for number in range(COUNT):
        (directory / f"{number:03d}").write_text(f"content {number}")
    return directory


def run(client: Client, data: Path, shelf: Shelf) -> UploadReport:
    return upload(client, data, UploadOptions(jobs=1), shelf)


def posted(fake: FakeDss) -> int:
    """Return how many requests with many files there were."""
    return len(fake.requests("POST", "/files/batch"))


def test_they_take_few_requests_and_are_not_staged(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss
) -> None:
    report = run(client, data, shelf)

    assert (report.ok, report.put, report.staged, shelf.put_count) == (True, COUNT, 0, 0)
    assert posted(fake) == 3
    assert fake.requests("PUT", "/files/") == []
    [(_, _, files)] = fake.put_bundles
    assert {file["uuid"]: file["version"] for file in files} == fake.put_files


def test_a_larger_file_is_staged(client: Client, data: Path, shelf: Shelf, fake: FakeDss) -> None:
    (data / "larger").write_bytes(b"x" * (SMALL_BYTES + 1))

    report = run(client, data, shelf)

    assert (report.ok, report.put, report.staged) == (True, COUNT + 1, 1)
    assert len(fake.requests("PUT", "/files/")) == 1


def test_a_file_that_is_refused_fails_alone_and_the_next_run_does_it(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss
) -> None:
    fake.refused = {b"content 3"}

    first = run(client, data, shelf)

    assert [failure.name for failure in first.failed] == ["003"]
    assert "file_already_exists" in first.failed[0].why
    assert (first.put, fake.put_bundles) == (COUNT - 1, [])
    fake.refused = set()
    fake.seen.clear()
    second = run(client, data, shelf)
    assert (second.ok, second.put, posted(fake)) == (True, 1, 1)


def test_files_of_a_refused_request_are_the_same_versions_in_the_next_run(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss
) -> None:
    fake.fault("POST", "/files/batch", Fault(status=400, body={"code": "x", "title": "no"}))

    first = run(client, data, shelf)

    assert (len(first.failed), first.put) == (MOST_FILES, COUNT - MOST_FILES)
    before = dict(fake.put_files)
    second = run(client, data, shelf)
    assert (second.ok, second.put) == (True, MOST_FILES)
    assert before.items() < fake.put_files.items()
    assert (second.uuid, second.version) == (first.uuid, first.version)


def test_an_older_dss_is_asked_once(client: Client, data: Path, shelf: Shelf, fake: FakeDss) -> None:
    fake.takes_batches = False

    report = run(client, data, shelf)

    assert (report.ok, report.put, report.staged) == (True, COUNT, COUNT)
    assert posted(fake) == 1


def test_what_is_too_large_for_one_request_is_staged(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss
) -> None:
    fake.fault("POST", "/files/batch", Fault(status=413, body={"code": "illegal_arguments"}))

    report = run(client, data, shelf)

    assert (report.ok, report.put, report.staged, posted(fake)) == (True, COUNT, MOST_FILES, 3)


def test_a_dss_that_is_too_busy_for_a_request_gets_half_of_it(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss, clock: HeldClock
) -> None:
    busy = Fault(status=503, headers={"Retry-After": "7"})
    fake.fault("POST", "/files/batch", busy, Fault(status=504), Fault(status=500))

    report = run(client, data, shelf)

    assert (report.ok, report.put, report.staged) == (True, COUNT, 0)
    # One is cut in two, the first half of it again, and what is no matter of time is sent as it was.
    assert posted(fake) == 3 + 5
    assert clock.slept[0] == 7
    assert len(clock.slept) == 3


def test_one_file_is_tried_for_as_long_as_the_patience(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss, clock: HeldClock
) -> None:
    fake.broken["POST", "/files/batch"] = Fault(status=503)

    for number in range(2, COUNT):
        (data / f"{number:03d}").unlink()

    report = run(client, data, shelf)

    assert len(report.failed) == 2
    assert "503" in report.failed[0].why
    assert sum(clock.slept) > 0.7 * client.transport.patience


def test_an_answer_about_other_files_is_an_error(
    client: Client, data: Path, shelf: Shelf, fake: FakeDss
) -> None:
    fake.broken["POST", "/files/batch"] = Fault(status=200, body={"files": []})

    report = run(client, data, shelf)

    assert (report.put, len(report.failed)) == (0, COUNT)
    assert "other files" in report.failed[0].why


@given(st.lists(st.integers(0, 2 * MOST_BYTES), max_size=3 * MOST_FILES))
def test_every_file_is_in_one_batch_and_each_batch_fits(sizes: Sequence[int]) -> None:
    files = [
        LocalFile(name=str(number), path=Path(str(number)), stamp=Stamp(size, 0, 0, 0))
        for number, size in enumerate(sizes)
    ]

    found = list(batches(files))

    assert [file for batch in found for file in batch] == files
    for batch in found:
        assert 0 < len(batch) <= MOST_FILES
        assert len(batch) == 1 or sum(file.size for file in batch) <= MOST_BYTES
