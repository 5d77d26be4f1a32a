"""A download gives a file its name only when it is right, also if the network fails."""

import io
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dss.client import Client
from dss.errors import Busy, CallFailed, InvalidInput, WrongContent
from dss.reports import DownloadReport
from dss.transfer.download import DownloadOptions, download
from dss.transfer.names import WORK_DIRECTORY
from dss.transfer.parallel import only_process
from dss.transfer.placement import Rehearsal, suspicious
from dss.transfer.single_file import fetch_file, stream_file
from tests.support.fake_dss import BUNDLE, FakeDss, Fault, HeldClock

MIB = 1024 * 1024
BIG = random.Random(1).randbytes(3 * MIB + 17)
BLOB = "/blob/0"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"


def _download(client: Client, target: Path, **options: object) -> DownloadReport:
    return client.download(BUNDLE, to=target, range_bytes=MIB, **options)


def _content(target: Path) -> dict[str, bytes]:
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_all_files_arrive_and_nothing_else_is_left(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"big": BIG, "a/b/c.json": b"{}", "empty": b"", "same as big": BIG}

    report = _download(client, target)

    assert _content(target) == fake.names
    assert not (target / WORK_DIRECTORY).exists()
    assert (report.ok, report.downloaded, report.skipped, report.files) == (True, 4, 0, 4)
    assert report.received == report.bytes == 2 * len(BIG) + 2


def test_verified_files_are_not_fetched_again(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"big": BIG, "small": b"content"}
    _download(client, target)
    (target / "small").write_bytes(b"CONTENT")
    fake.seen.clear()

    report = _download(client, target)

    assert (report.downloaded, report.skipped) == (1, 1)
    assert [one.path for one in fake.requests("GET", "/blob")] == ["/blob/1"]
    assert _content(target) == fake.names


def test_only_the_given_names_are_fetched(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a.json": b"1", "sub/b.json": b"2", "c.bam": b"3"}

    _download(client, target, names=["*.json"])

    assert set(_content(target)) == {"a.json", "sub/b.json"}


def test_a_glob_that_matches_no_file_is_an_error(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a.json": b"1", "b.bam": b"2"}

    with pytest.raises(InvalidInput, match=r"no file of the bundle matches 'nope\*', '\*\.cram'"):
        _download(client, target, names=["*.json", "nope*", "*.cram"])

    assert not target.exists()
    assert _download(client, target, names="*.json").downloaded == 1


def test_hidden_files_come_back(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {".zgroup": b"1", "a/.zarray": b"2", "a/0.0": b"3", ".git/HEAD": b"4"}

    assert _download(client, target).ok
    assert _content(target) == fake.names


def test_names_that_a_directory_cannot_hold_are_placed_nearby(
    client: Client, fake: FakeDss, target: Path
) -> None:
    long = "é" * 200 + ".fastq.gz"
    fake.names = {
        "path.json2/": b"0",
        "a//b": b"1",
        "a/b": b"2",
        "c": b"3",
        "c/d": b"4",
        long: b"5",
        "exact": b"6",
    }

    report = _download(client, target)

    assert report.ok
    short = report.placed.pop(long)
    assert (short[:120], short[-3:], len(short.encode())) == ("é" * 120, ".gz", 254)
    assert report.placed == {"path.json2/": "path.json2", "a//b": "a/b~1", "c": "c~1"}
    assert len(report.warnings) == 4
    assert "'path.json2/' is at 'path.json2'" in report.warnings[0]
    assert _content(target) == {
        "path.json2": b"0",
        "a/b~1": b"1",
        "a/b": b"2",
        "c~1": b"3",
        "c/d": b"4",
        short: b"5",
        "exact": b"6",
    }
    assert _download(client, target).skipped == 7
    assert _download(client, target, names="c").placed == {"c": "c~1"}


class Folding(Rehearsal):
    """A file system that ignores case and the Unicode form of names."""

    def collisions(self, paths: Iterable[str]) -> dict[str, str]:
        same = suspicious(paths)
        return {path: next(other for other in same if other != path) for path in same}


def test_names_that_are_one_file_are_found_before_anything_is_fetched(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"Reads.fastq": b"1", "reads.fastq": b"2", "other": b"3"}
    target.mkdir()
    (target / "reads.fastq").write_bytes(b"mine")
    options = DownloadOptions(to=target)

    report = download(client, BUNDLE, None, options, Folding(target))

    assert [failure.name for failure in report.failed] == ["Reads.fastq", "reads.fastq"]
    assert "is the same file as 'reads.fastq' on this file system" in report.failed[0].why
    assert _content(target) == {"reads.fastq": b"mine", "other": b"3"}
    assert [request.path for request in fake.requests("GET", "/blob")] == ["/blob/2"]
    options.names = ["R*"]
    assert download(client, BUNDLE, None, options, Folding(target)).downloaded == 1


def test_a_case_sensitive_file_system_holds_both(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"Reads": b"1", "reads": b"2", "e\u0301": b"3", "\u00e9": b"4", "Reads.d/x": b"5"}

    report = _download(client, target)

    assert report.ok
    assert _content(target) == fake.names
    assert not (target / WORK_DIRECTORY).exists()


def test_a_broken_connection_is_resumed_where_it_broke(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": BIG[:MIB]}
    fake.fault("GET", BLOB, Fault(cut_after=1000), Fault(cut_after=0), Fault(status=503), Fault(cut_after=5))

    report = _download(client, target)

    assert report.ok
    assert _content(target) == fake.names
    assert [one.headers.get("Range") for one in fake.requests("GET", "/blob")] == [
        None,
        *[f"bytes=1000-{MIB - 1}"] * 3,
        f"bytes=1005-{MIB - 1}",
    ]


def test_the_client_waits_as_the_store_asks(
    client: Client, fake: FakeDss, clock: HeldClock, target: Path
) -> None:
    fake.names = {"a": b"content"}
    fake.fault("GET", BLOB, Fault(status=429, headers={"Retry-After": "9"}))

    assert _download(client, target).ok
    assert clock.slept == [9]


def test_urls_that_expire_during_a_download_are_renewed(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": BIG, "b": BIG[:-1]}
    fake.fault("GET", BLOB, Fault(), Fault(cut_after=700, expire=True))

    report = _download(client, target, jobs=2)

    assert report.ok
    assert _content(target) == fake.names
    assert fake.requests("GET", "/files/")


def test_a_new_url_that_is_refused_is_a_failure(
    client: Client, fake: FakeDss, clock: HeldClock, target: Path
) -> None:
    fake.names = {"a": b"content"}
    fake.fault("GET", BLOB, *[Fault(status=403)] * 10)

    report = _download(client, target)

    assert "403" in report.failed[0].why
    assert "sig=" not in report.failed[0].why
    assert clock.slept == []


def test_wrong_bytes_are_removed_and_reported_and_all_others_are_done(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"rotten": BIG, "good": b"content", "rotten too": b"x"}
    fake.fault("GET", "/blob/0", Fault(rot=True))
    fake.fault("GET", "/blob/2", Fault(rot=True))

    report = _download(client, target)

    assert [failure.name for failure in report.failed] == ["rotten", "rotten too"]
    assert all("sha256" in failure.why for failure in report.failed)
    assert _content(target) == {"good": b"content"}
    assert _download(client, target).ok
    assert _content(target) == fake.names


def test_a_store_with_another_size_is_wrong(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": BIG, "b": b"content"}
    bundle = client.bundle(BUNDLE, presigned=True)
    fake.names = {"a": BIG + b"x", "b": b"cont"}
    fake.fault("GET", f"/bundles/{BUNDLE}", Fault(status=200, body={"bundle": bundle}))

    report = _download(client, target)

    assert all("size" in failure.why or "bytes" in failure.why for failure in report.failed)
    assert len(report.failed) == 2
    assert _content(target) == {}


def test_a_file_without_a_url_is_reported_and_leaves_nothing(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"a": BIG, "b": b"content"}
    bundle = client.bundle(BUNDLE)
    fake.fault("GET", f"/bundles/{BUNDLE}", Fault(status=200, body={"bundle": bundle}))

    report = _download(client, target)

    assert [failure.why for failure in report.failed] == ["the bundle lacks this file's 'url'"] * 2
    assert _content(target) == {}


def test_urls_are_asked_for_in_pages_and_not_for_files_that_are_there(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {f"{number:03d}": str(number).encode() for number in range(750)}
    assert _download(client, target).downloaded == 750
    assert _content(target) == fake.names
    assert not fake.requests("GET", "/files/")
    for number in (550, 749):
        (target / f"{number:03d}").unlink()
    fake.seen.clear()

    assert _download(client, target).downloaded == 2
    signed = [one for one in fake.requests("GET", "/bundles") if "presignedurls" in one.query]
    assert [one.query.get("start_at") for one in signed] == [None, "500", "700"]


def test_pages_that_are_cut_otherwise_cost_a_request_for_each_file(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {f"{number:03d}": str(number).encode() for number in range(25)}
    fake.page = 10

    assert _download(client, target).downloaded == 25
    assert _content(target) == fake.names
    assert len(fake.requests("GET", "/files/")) == 5


def test_an_interrupted_download_fetches_only_the_rest(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"big": BIG}
    # One of the four ranges is refused for good; with one job, those before it are complete.
    fake.fault("GET", BLOB, Fault(), Fault(), Fault(status=404))

    first = _download(client, target, jobs=1)

    assert "404" in first.failed[0].why
    assert not (target / "big").exists()
    fake.seen.clear()

    second = _download(client, target, jobs=1)

    assert second.ok
    assert second.received == len(BIG) - 2 * MIB
    assert len(fake.requests("GET", "/blob")) == 2
    assert _content(target) == fake.names


def test_names_that_leave_the_directory_are_refused_and_all_others_are_done(
    client: Client, fake: FakeDss, target: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target.mkdir()
    (target / "link").symlink_to(outside)
    bad = ["../up", "/absolute", "a/../../up", "back\\slash", "link/x", ".dss-download/x", "~/x", ""]
    fake.names = {**dict.fromkeys(bad, b"evil"), "good": b"content"}

    report = _download(client, target)

    assert {failure.name for failure in report.failed} == set(bad)
    assert (target / "good").read_bytes() == b"content"
    assert list(outside.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out", "outside"]


def test_a_link_in_place_of_the_work_directory_is_refused(
    client: Client, fake: FakeDss, target: Path, tmp_path: Path
) -> None:
    fake.names = {"a": b"content"}
    target.mkdir()
    (target / WORK_DIRECTORY).symlink_to(tmp_path)

    with pytest.raises(InvalidInput, match="symbolic link"):
        _download(client, target)


def test_two_downloads_to_one_directory_exclude_each_other(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"a": b"content"}
    target.mkdir()

    with only_process(target, "a test"), pytest.raises(Busy, match="another process"):
        _download(client, target)


def test_a_missing_bundle_is_an_error(client: Client, target: Path) -> None:
    with pytest.raises(CallFailed, match="404 not_found: no such bundle"):
        client.download("33333333-3333-4333-8333-333333333333", to=target)
    assert not target.exists()


def test_one_file_is_fetched_to_a_path(client: Client, fake: FakeDss, tmp_path: Path) -> None:
    fake.names = {"a": BIG}
    fake.fault("GET", BLOB, Fault(cut_after=10, expire=True))

    report = fetch_file(client, fake.uuid_of("a"), None, tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == BIG
    assert report.received == len(BIG)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_one_wrong_file_is_not_kept(client: Client, fake: FakeDss, tmp_path: Path) -> None:
    fake.names = {"a": BIG}
    fake.fault("GET", BLOB, Fault(rot=True))

    with pytest.raises(WrongContent, match="sha256"):
        fetch_file(client, fake.uuid_of("a"), None, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_to_a_pipe_in_order(client: Client, fake: FakeDss, tmp_path: Path) -> None:
    fake.names = {"a": BIG}
    fake.fault("GET", BLOB, Fault(cut_after=100), Fault(cut_after=200_000))

    with (tmp_path / "x").open("wb") as output:
        stream_file(client, fake.uuid_of("a"), None, output)

    assert (tmp_path / "x").read_bytes() == BIG


def test_a_wrong_file_in_a_pipe_is_reported_at_the_end(client: Client, fake: FakeDss) -> None:
    fake.names = {"a": b"content"}
    fake.fault("GET", BLOB, Fault(rot=True))

    with pytest.raises(WrongContent, match="sha256"):
        stream_file(client, fake.uuid_of("a"), None, io.BytesIO())


def test_a_stream_without_a_buffer_gets_all_bytes(client: Client, fake: FakeDss) -> None:
    class Narrow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(data[:1000])

    fake.names = {"a": BIG}
    output = Narrow()
    stream_file(client, fake.uuid_of("a"), None, output)

    assert output.getvalue() == BIG
