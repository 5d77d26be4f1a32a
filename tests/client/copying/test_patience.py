"""What `copy_bundles` survives and reports: a destination that fails on demand; waiting takes no time."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from dss.api.bundles import put_bundle
from dss.client import Client
from dss.copying import copy
from dss.copying.copy import ATTEMPTS, CopyOptions, copy_bundles
from dss.copying.sources import SourceBundle, SourceFile, Tagger
from dss.references import Reference
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault, HeldClock

NEXT_DAY = "2026-01-03T030405.000006Z"
MISSING_CHECKSUM = Fault(status=422, body={"status": 422, "code": "missing_checksum", "title": "no sha256"})
FILE_MISSING = Fault(status=400, body={"status": 400, "code": "file_missing", "title": "no file"})
FORBIDDEN = Fault(status=403, body={"status": 403, "code": "Forbidden", "title": "not from there"})


class Shelf:
    """A source that is at hand."""

    replica = "gcp"

    def __init__(self, *bundles: SourceBundle) -> None:
        self._bundles = {bundle.uuid: bundle for bundle in bundles}

    def bundle(self, wanted: Reference) -> SourceBundle:
        return self._bundles[wanted.uuid]

    def bundles(self, prefix: str) -> Iterator[Reference]:
        del prefix
        return iter(self.names)

    @property
    def names(self) -> list[Reference]:
        return [Reference(uuid=one.uuid, version=one.version) for one in self._bundles.values()]


def bundle(*names: str) -> SourceBundle:
    return SourceBundle(uuid=str(uuid4()), version=VERSION, files=[file(name) for name in names])


def file(name: str) -> SourceFile:
    checksums = {"sha256": "aa", "sha1": "bb", "s3_etag": "cc", "crc32c": "dd"}
    return SourceFile(
        name=name,
        uuid=str(uuid4()),
        version=VERSION,
        indexed=name.endswith(".json"),
        size=3,
        checksums=checksums,
        url="gs://old/blobs/aa.bb.cc.dd",
    )


def path_of(shelf: Shelf) -> str:
    """Return the path of the first file."""
    return f"/files/{shelf.bundle(shelf.names[0]).files[0].uuid}"


@pytest.fixture
def tagged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files whose blobs were tagged, in a cloud that takes all tags."""
    names: list[str] = []
    monkeypatch.setattr(Tagger, "tag", lambda _, one: names.append(one.name))
    return names


def test_files_come_before_their_bundle_from_the_blobs_of_the_source(client: Client, fake: FakeDss) -> None:
    shelf = Shelf(bundle("a.json", "b/c"))

    report = copy_bundles(shelf, client, shelf.names, CopyOptions(version=lambda _: NEXT_DAY))

    assert (report.ok, report.copied, report.files, report.bytes) == (True, 1, 2, 6)
    assert set(fake.put_files.values()) == {"gs://old/blobs/aa.bb.cc.dd"}
    [(uuid, version, files)] = fake.put_bundles
    assert (uuid, version) == (shelf.names[0].uuid, NEXT_DAY)
    assert [(row["name"], row["version"], row["indexed"]) for row in files] == [
        ("a.json", NEXT_DAY, True),
        ("b/c", NEXT_DAY, False),
    ]


def test_a_blob_without_checksums_is_tagged_until_the_destination_sees_them(
    client: Client, fake: FakeDss, clock: HeldClock, tagged: list[str]
) -> None:
    shelf = Shelf(bundle("a"))
    fake.fault("PUT", path_of(shelf), *[MISSING_CHECKSUM] * 3)

    report = copy_bundles(shelf, client, shelf.names, CopyOptions(fix_tags=True, retry_seconds=2.0))

    assert report.ok
    assert (tagged, clock.slept) == (["a"] * 3, [2.0, 4.0, 6.0])


def test_a_blob_that_stays_without_checksums_is_given_up(
    client: Client, fake: FakeDss, clock: HeldClock, tagged: list[str]
) -> None:
    shelf = Shelf(bundle("a"))
    fake.fault("PUT", path_of(shelf), *[MISSING_CHECKSUM] * (ATTEMPTS + 1))

    report = copy_bundles(shelf, client, shelf.names, CopyOptions(fix_tags=True))

    [failure] = report.failed
    assert (failure.name, "missing_checksum" in failure.why) == (f"{shelf.names[0].fqid}/a", True)
    assert clock.slept == [float(pause) for pause in range(1, ATTEMPTS)]
    assert len(tagged) == ATTEMPTS - 1
    assert fake.put_bundles == []


def test_without_fix_tags_nothing_is_tagged_and_the_option_is_named(
    client: Client, fake: FakeDss, clock: HeldClock, tagged: list[str]
) -> None:
    shelf = Shelf(bundle("a"))
    fake.fault("PUT", path_of(shelf), MISSING_CHECKSUM)

    report = copy_bundles(shelf, client, shelf.names, CopyOptions())

    [failure] = report.failed
    assert "--fix-tags" in failure.why
    assert (tagged, clock.slept) == ([], [])


@pytest.mark.parametrize(("times", "is_done"), [(4, True), (ATTEMPTS, False)])
def test_a_bundle_waits_for_files_that_the_destination_does_not_see_yet(
    client: Client, fake: FakeDss, clock: HeldClock, times: int, is_done: bool
) -> None:
    shelf = Shelf(bundle("a"))
    fake.fault("PUT", f"/bundles/{shelf.names[0].uuid}", *[FILE_MISSING] * times)

    report = copy_bundles(shelf, client, shelf.names, CopyOptions())

    assert report.ok is is_done
    assert clock.slept == [float(pause) for pause in range(1, min(times + 1, ATTEMPTS))]


def test_what_fails_is_listed_and_the_rest_is_done(client: Client, fake: FakeDss) -> None:
    good, bad = bundle("a"), bundle("b", "c")
    shelf = Shelf(bad, good)
    fake.fault("PUT", f"/files/{bad.files[1].uuid}", Fault(status=409, body={"code": "file_already_exists"}))

    report = copy_bundles(shelf, client, shelf.names, CopyOptions())

    assert [failure.name for failure in report.failed] == [f"{bad.fqid}/c"]
    assert (report.copied, report.bundles, report.extent) == (1, 2, "2 bundles and 3 files")
    assert [put[0] for put in fake.put_bundles] == [good.uuid]


def test_nothing_more_is_begun_after_a_refusal_that_all_would_meet(client: Client, fake: FakeDss) -> None:
    many = [bundle(*(f"{number}" for number in range(40))) for _ in range(20)]
    shelf = Shelf(*many)
    fake.broken["PUT", "/files/"] = FORBIDDEN

    report = copy_bundles(shelf, client, shelf.names, CopyOptions(jobs=2))

    assert len(fake.requests("PUT", "/files/")) < 10
    assert {bundle.fqid for bundle in many} == {failure.name.partition("/")[0] for failure in report.failed}
    assert len(report.failed) < 30


def test_another_bundle_under_the_name_of_a_copy_is_refused_before_anything_is_put(
    client: Client, fake: FakeDss
) -> None:
    fake.names = {"a": b"abc"}
    shelf = Shelf(SourceBundle(uuid=BUNDLE, version=VERSION, files=[file("a")]))

    report = copy_bundles(shelf, client, shelf.names, CopyOptions())

    [failure] = report.failed
    assert "has another bundle" in failure.why
    assert fake.requests("PUT", "/files/") == []


def test_a_dry_run_writes_nothing(client: Client, fake: FakeDss) -> None:
    shelf = Shelf(bundle("a", "b"))

    report = copy_bundles(shelf, client, shelf.names, CopyOptions(dry_run=True))

    assert (report.copied, report.files, report.as_json()["dry_run"]) == (1, 2, True)
    assert fake.requests("PUT", "/") == []


def test_a_killed_copy_is_completed_by_the_next(
    client: Client, fake: FakeDss, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(bundle("a"))

    def killed(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(copy, "put_bundle", killed)
    with pytest.raises(KeyboardInterrupt):
        copy_bundles(shelf, client, shelf.names, CopyOptions())
    assert fake.put_bundles == []
    monkeypatch.setattr(copy, "put_bundle", put_bundle)
    again = Client(client.url, "a.token", clock=HeldClock())

    assert copy_bundles(shelf, again, shelf.names, CopyOptions()).ok
    assert len(fake.put_bundles) == 1
