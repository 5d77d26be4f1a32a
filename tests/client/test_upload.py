"""An upload does what is missing, and only that."""

import os
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dss.checksums import Checksums
from dss.client import Client
from dss.errors import CallFailed, InvalidInput, StagingFailed
from dss.progress import Phase
from dss.reports import UploadReport
from dss.stopping import StoppableClock
from dss.transfer import upload_preview
from dss.transfer.directory import LocalFile, Stamp
from dss.transfer.file_uploads import checksum_file
from dss.transfer.small_files import SMALL_BYTES
from dss.transfer.staging import staging_for
from dss.transfer.upload import UploadOptions, upload
from dss.transfer.upload_preview import preview
from dss.transfer.upload_state import open_state
from shared.checksums import checksums_of
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault, HeldClock


class Shelf:
    """A staging place in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.put_count = 0
        self.refuse: set[str] = set()
        self._lock = threading.Lock()

    def put(
        self, path: Path, key: str, checksums: Checksums, content_type: str, on_bytes: Callable[[int], None]
    ) -> str:
        del content_type
        if path.name in self.refuse:
            raise StagingFailed(f"{path.name}: no")
        data = path.read_bytes()
        assert asdict(checksums_of(data)) == asdict(checksums)
        on_bytes(len(data))
        with self._lock:
            self.objects[key] = data
            self.put_count += 1
        return f"gs://shelf/{key}"

    def delete(self, url: str) -> None:
        self.objects.pop(url.removeprefix("gs://shelf/"), None)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    (directory / "sub").mkdir(parents=True)
    for number in range(6):
        (directory / "sub" / f"f{number}.bin").write_text(f"content {number}")
    (directory / "a.json").write_text("{}")
    return directory


@pytest.fixture
def again(client: Client, data: Path, shelf: Shelf) -> Callable[..., UploadReport]:
    """Run the upload, as often as a test likes."""

    def run(**options: object) -> UploadReport:
        return upload(client, data, UploadOptions(**options), shelf)  # type: ignore[arg-type]

    return run


Again = Callable[..., UploadReport]


def test_a_directory_becomes_a_bundle_and_nothing_stays_staged(
    again: Again, fake: FakeDss, shelf: Shelf
) -> None:
    report = again()

    (uuid, version, files) = fake.put_bundles[0]
    assert (report.uuid, report.version, report.ok) == (uuid, version, True)
    assert (report.files, report.staged, report.put) == (7, 7, 7)
    assert {file["name"]: file["indexed"] for file in files} == {
        "a.json": True,
        **{f"sub/f{number}.bin": False for number in range(6)},
    }
    assert shelf.objects == {}


def test_a_finished_upload_is_not_repeated(again: Again, fake: FakeDss, shelf: Shelf) -> None:
    first = again()
    fake.seen.clear()

    second = again()

    assert second.already_there
    assert (second.uuid, second.version) == (first.uuid, first.version)
    assert (second.staged, second.put, shelf.put_count) == (0, 0, 7)
    assert [one.method for one in fake.seen] == ["GET"]


@pytest.mark.parametrize("how", ["--update", "--bundle-uuid"])
def test_on_request_a_changed_directory_is_a_new_version_of_the_bundle(
    again: Again, fake: FakeDss, data: Path, how: str
) -> None:
    first = again()
    (data / "a.json").write_text('{"changed": true}')
    (data / "sub" / "f0.bin").unlink()

    second = again(update=True) if how == "--update" else again(bundle_uuid=f"dss://{first.uuid}")

    assert second.uuid == first.uuid
    assert second.version > first.version
    assert (second.put, second.files, second.warnings) == (1, 6, [])
    before, after = ({file["name"]: file for file in bundle[2]} for bundle in fake.put_bundles)
    assert after["a.json"]["uuid"] == before["a.json"]["uuid"]
    assert after["a.json"]["version"] > before["a.json"]["version"]
    assert after["sub/f1.bin"] == before["sub/f1.bin"]
    assert again(update=True).already_there


def test_a_directory_that_is_used_again_is_a_new_bundle(again: Again, fake: FakeDss, data: Path) -> None:
    first = again()
    (data / "a.json").write_text('{"another": "data set"}')

    second = again()

    assert second.uuid != first.uuid
    assert second.put == 1
    before, after = ({file["name"]: file for file in bundle[2]} for bundle in fake.put_bundles)
    assert after["a.json"]["uuid"] != before["a.json"]["uuid"]
    assert after["sub/f1.bin"] == before["sub/f1.bin"]
    (warning,) = second.warnings
    assert f"{data} was bundle {first.uuid}.{first.version}, and has changed" in warning
    assert f"--bundle-uuid {first.uuid}" in warning
    third = again()
    assert (third.already_there, third.uuid, third.warnings) == (True, second.uuid, [])
    old = again(bundle_uuid=first.uuid)
    assert (old.uuid, old.version > first.version, old.put) == (first.uuid, True, 0)


def test_what_changes_during_an_interruption_goes_into_the_bundle_that_was_begun(
    again: Again, fake: FakeDss, data: Path, shelf: Shelf
) -> None:
    shelf.refuse = {"f1.bin"}
    first = again()
    (data / "sub" / "f1.bin").write_text("repaired")
    shelf.refuse = set()

    second = again()

    assert (second.uuid, second.version, second.ok) == (first.uuid, first.version, True)
    assert len(fake.put_bundles) == 1


def test_a_changed_directory_whose_upload_fails_names_no_bundle(
    again: Again, data: Path, shelf: Shelf
) -> None:
    again()
    (data / "a.json").write_text('{"another": "data set"}')
    shelf.refuse = {"a.json"}

    failed = again()

    assert (failed.ok, failed.uuid, failed.version) == (False, "", "")


def test_what_was_never_uploaded_cannot_be_updated(again: Again, fake: FakeDss) -> None:
    with pytest.raises(InvalidInput, match="--update: no upload of this directory is recorded"):
        again(update=True)
    assert fake.seen == []


@pytest.mark.parametrize(
    ("text", "why"),
    [(f"{BUNDLE}.{VERSION}", "never changes"), (f"drs://elsewhere.example.org/{BUNDLE}", "another DSS")],
)
def test_a_version_or_a_bundle_of_another_dss_cannot_be_written(
    again: Again, fake: FakeDss, text: str, why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        again(bundle_uuid=text)
    assert fake.seen == []


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    client: Client, again: Again, fake: FakeDss, data: Path, shelf: Shelf, tmp_path: Path
) -> None:
    def dry(**options: object) -> tuple[str, str, int, bool]:
        before = _content(tmp_path / "cache")
        report = preview(client, data, UploadOptions(**options), shelf)  # type: ignore[arg-type]
        assert _content(tmp_path / "cache") == before
        assert report.dry_run
        return report.uuid, report.version, report.put, report.already_there

    assert dry() == ("", "", 7, False)
    assert dry(bundle_uuid=BUNDLE, version=VERSION) == (BUNDLE, VERSION, 7, False)
    shelf.refuse = {"f1.bin"}
    first = again()
    assert dry() == (first.uuid, first.version, 1, False)
    shelf.refuse = set()
    again()
    assert dry() == (first.uuid, first.version, 0, True)
    (data / "a.json").write_text('{"changed": true}')
    assert dry() == ("", "", 1, False)
    assert dry(update=True) == (first.uuid, "", 1, False)
    with pytest.raises(InvalidInput, match="another DSS"):
        dry(bundle_uuid=f"drs://elsewhere/{BUNDLE}")
    assert (len(fake.put_bundles), len(fake.requests("PUT", "/"))) == (1, 8)


def test_a_dry_run_stages_large_files_only_and_shows_what_it_reads(
    client: Client, again: Again, data: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "large.bin").write_bytes(bytes(SMALL_BYTES + 1))
    new = preview(client, data, UploadOptions(), shelf)
    assert (new.put, new.staged) == (8, 1)
    again()
    threads: set[int] = set()
    phases: list[Phase] = []
    both = threading.Barrier(2, timeout=60)

    def checksum(file: LocalFile, clock: StoppableClock, hashing: Phase) -> Checksums:
        if threading.get_ident() not in threads and len(threads) < 2:
            threads.add(threading.get_ident())
            both.wait()
        phases.append(hashing)
        return checksum_file(file, clock, hashing)

    monkeypatch.setattr(upload_preview, "checksum_file", checksum)
    old = preview(client, data, UploadOptions(checksum=True, jobs=2), shelf)

    assert (old.put, old.staged, old.already_there, len(threads)) == (0, 0, True, 2)
    assert (phases[0].items, phases[0].done.items, phases[0].done.size) == (8, 8, old.bytes)


def _content(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_file_that_was_only_touched_is_the_same_file(again: Again, data: Path) -> None:
    first = again()
    os.utime(data / "a.json", (1, 1))

    second = again()

    assert second.already_there
    assert second.version == first.version


def replace_bytes(path: Path, how: str) -> None:
    """Change a file's bytes, and leave its size and mtime as they were."""
    status, content = path.stat(), path.read_bytes()[::-1]
    if how == "in place":
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        other = path.with_name("another")
        other.write_bytes(content)
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


@pytest.mark.parametrize("how", ["in place", "by another file"])
def test_other_bytes_of_the_same_size_and_mtime_are_noticed(
    again: Again, data: Path, shelf: Shelf, how: str
) -> None:
    first = again(keep_staged=True)
    replace_bytes(data / "sub" / "f1.bin", how)

    second = again(keep_staged=True, update=True)

    assert (second.already_there, second.put) == (False, 1)
    assert (second.uuid, second.version > first.version) == (first.uuid, True)
    assert b"1 tnetnoc" in shelf.objects.values()


def test_all_files_are_read_again_on_request(again: Again, client: Client, data: Path) -> None:
    path = data.parent / "state"
    again(state=path)
    replace_bytes(data / "sub" / "f1.bin", "in place")
    # As on a file system without ctimes: the recorded stamp is that of the new bytes.
    with open_state(path, directory=data.resolve(), url=client.url, replica="gcp") as state:
        entry = state.files["sub/f1.bin"]
        state.record_file(replace(entry, stamp=Stamp.of((data / "sub" / "f1.bin").stat())))

    assert again(state=path).already_there
    assert again(state=path, checksum=True).put == 1
    assert again(state=path, checksum=True).already_there


def test_empty_directories_are_reported(again: Again, data: Path) -> None:
    (data / "sub" / "none" / "at all").mkdir(parents=True)

    report = again()

    assert report.ok
    assert report.warnings == ["'sub/none/at all/' is an empty directory, which a bundle can't hold"]


def test_failures_are_listed_and_the_next_run_does_them(again: Again, fake: FakeDss, shelf: Shelf) -> None:
    shelf.refuse = {"f1.bin", "f4.bin"}

    first = again()

    assert [failure.name for failure in first.failed] == ["sub/f1.bin", "sub/f4.bin"]
    assert first.put == 5
    assert fake.put_bundles == []
    assert len(shelf.objects) == 5
    shelf.refuse = set()

    second = again()

    assert (second.put, second.ok, second.uuid, second.version) == (2, True, first.uuid, first.version)
    assert shelf.objects == {}


def test_a_bundle_refused_once_keeps_its_name(again: Again, fake: FakeDss) -> None:
    fake.broken["PUT", "/bundles/"] = Fault(status=400, body={"code": "illegal_arguments", "title": "no"})
    with pytest.raises(CallFailed, match="illegal_arguments"):
        again()
    fake.broken.clear()

    report = again()

    assert report.put == 0
    assert len(fake.requests("PUT", "/files/")) == 7
    assert len({one.path for one in fake.requests("PUT", "/bundles/")}) == 1


def test_files_that_the_dss_lost_are_uploaded_again(again: Again, fake: FakeDss) -> None:
    """As after a restart of a local system at the same address."""
    first = again()
    fake.put_bundles.clear()
    for uuid in list(fake.put_files)[:3]:
        del fake.put_files[uuid]

    second = again()

    assert (second.ok, second.put, second.already_there) == (True, 3, False)
    assert second.uuid != first.uuid
    assert again().already_there


def test_an_upload_gives_up_if_the_dss_keeps_losing_files(again: Again, fake: FakeDss) -> None:
    missing = Fault(status=400, body={"code": "file_missing", "title": "all"})
    fake.broken["PUT", "/bundles/"] = missing
    fake.broken["HEAD", "/files/"] = Fault(status=404)

    with pytest.raises(CallFailed, match="file_missing"):
        again()

    assert len(fake.requests("PUT", "/bundles/")) == 3


def test_a_staged_object_that_is_gone_is_staged_again(again: Again, fake: FakeDss, shelf: Shelf) -> None:
    shelf.refuse = {"f1.bin"}
    again(keep_staged=True)
    gone = Fault(status=404, body={"code": "not_found", "title": "no such object"})
    for uuid in list(fake.put_files):
        fake.fault("PUT", f"/files/{uuid}", gone)
    shelf.refuse = set()

    assert again().ok


def test_an_upload_waits_for_background_copies(
    again: Again, fake: FakeDss, shelf: Shelf, clock: HeldClock
) -> None:
    shelf.refuse = {f"f{number}.bin" for number in range(6)}
    waits = [404, 404, 404, 200]
    fake.copying = _Every(waits)

    report = again()

    assert report.put == 1
    assert waits == []
    assert len(clock.slept) == 3


@pytest.mark.parametrize(("answers", "why"), [([404, 422], "wrong"), ([404] * 100, "not there after")])
def test_a_background_copy_that_fails_or_never_ends_is_a_failure(
    again: Again, fake: FakeDss, shelf: Shelf, answers: list[int], why: str
) -> None:
    shelf.refuse = {f"f{number}.bin" for number in range(6)}
    fake.copying = _Every(answers)

    report = again(copy_seconds=30)

    assert why in report.failed[0].why
    assert fake.put_bundles == []


class _Every(dict[str, list[int]]):
    """The same answers for every key."""

    def __init__(self, answers: list[int]) -> None:
        super().__init__()
        self._answers = answers

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: str, default: object = None) -> list[int]:  # type: ignore[override]
        del key, default
        return self._answers


def test_a_token_that_is_refused_ends_the_upload_at_once(again: Again, fake: FakeDss, shelf: Shelf) -> None:
    fake.broken["PUT", "/"] = Fault(status=401, body={"code": "Unauthorized", "title": "expired"})

    report = again(jobs=1)

    assert len(report.failed) == 7
    assert shelf.put_count == 1
    assert len(fake.requests("PUT", "/files/")) == 1


def test_names_are_checked_before_anything_is_uploaded(again: Again, fake: FakeDss, data: Path) -> None:
    (data / "sub" / "back\\slash").write_text("x")

    with pytest.raises(InvalidInput, match="slash"):
        again()
    assert fake.seen == []


def test_the_bundle_may_be_named(again: Again, fake: FakeDss) -> None:
    uuid, version = "AAAAAAAA-1111-4111-8111-111111111111", "2026-01-01T000000.000000Z"

    report = again(bundle_uuid=uuid, version=version)

    assert fake.put_bundles[0][:2] == (uuid.lower(), version)
    assert (report.uuid, report.version) == (uuid.lower(), version)


@pytest.mark.parametrize("options", [{"bundle_uuid": "x"}, {"version": "2026-13-01T000000.000000Z"}])
def test_malformed_uuids_and_versions_are_rejected(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        UploadOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("replica", "location"),
    [("gcp", "s3://b/p"), ("aws", "gs://b"), ("gcp", "http://b"), ("gcp", "gs:///p"), ("gcp", "gs://b?x")],
)
def test_a_staging_bucket_of_another_cloud_is_rejected(replica: str, location: str) -> None:
    with pytest.raises(InvalidInput, match="--staging"):
        staging_for(replica, location)


def test_a_missing_staging_bucket_names_the_variable() -> None:
    with pytest.raises(InvalidInput, match="DSS_GS_STAGING_BUCKET"):
        staging_for("gcp", None)


def test_a_file_that_changes_while_it_is_uploaded_is_a_failure(
    client: Client, data: Path, fake: FakeDss
) -> None:
    class Changing(Shelf):
        def put(self, path: Path, *arguments: object) -> str:  # type: ignore[override]
            url = super().put(path, *arguments)  # type: ignore[arg-type]
            if path.name == "a.json":
                path.write_text("meanwhile something else")
            return url

    report = upload(client, data, UploadOptions(), Changing())

    assert [failure.name for failure in report.failed] == ["a.json"]
    assert "changed" in report.failed[0].why
    assert fake.put_bundles == []
