"""What a manifest names is fetched as a bundle is: verified, resumed; what is wrong stops nothing else."""

import csv
import io
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dss.client import Client
from dss.errors import Busy, InvalidInput
from dss.manifests.entries import Entry
from dss.reports import ManifestReport
from dss.transfer import manifest_download
from dss.transfer.download import DownloadOptions
from dss.transfer.manifest_plan import Plan
from dss.transfer.names import WORK_DIRECTORY
from dss.transfer.parallel import only_process
from dss.transfer.placement import Rehearsal, suspicious
from tests.support.command_line import dss_here
from tests.support.fake_catalogue import FakeCatalogue
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault, HeldClock
from tests.support.manifest_forms import FORMS, documents_pfb, file_document, jsonl, table

MIB = 1024 * 1024
BIG = random.Random(1).randbytes(3 * MIB + 17)
HERE = f"{BUNDLE}.{VERSION}"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out"


def rows_of(fake: FakeDss, **changes: Any) -> list[dict[str, Any]]:
    """Return what a manifest says of the files of a DSS."""
    found = []
    for name in fake.names:
        row = fake.row(name)
        values = {f"file_{key}": row[key] for key in ("name", "uuid", "version", "sha256", "size")}
        found.append({"bundle_uuid": BUNDLE, "bundle_version": VERSION, **values, **changes})
    return found


def fetch(client: Client, data: bytes, target: Path, **options: Any) -> ManifestReport:
    return client.download_manifest(io.BytesIO(data), to=target, range_bytes=MIB, **options)


def content(target: Path) -> dict[str, bytes]:
    """Return what was fetched, by path, without the table."""
    paths = [path for path in target.rglob("*") if path.is_file()]
    found = {str(path.relative_to(target)): path.read_bytes() for path in paths}
    return {name: data for name, data in found.items() if name != "downloaded.tsv"}


def lines_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, dialect="excel-tab"))


@pytest.mark.parametrize("form", FORMS)
def test_what_a_manifest_of_any_form_names_arrives(
    client: Client, fake: FakeDss, target: Path, form: str
) -> None:
    fake.names = {"big": BIG, "a/b.json": b"{}", "empty": b""}

    report = fetch(client, FORMS[form](rows_of(fake)), target)

    directories = {"curl": dict.fromkeys(fake.names, BUNDLE)}
    directories["pfb"] = {name: f"{fake.uuid_of(name)}.{VERSION}" for name in fake.names}
    directory = directories.get(form, dict.fromkeys(fake.names, HERE))
    assert report.failed == []
    assert content(target) == {f"{directory[name]}/{name}": data for name, data in fake.names.items()}
    assert not (target / WORK_DIRECTORY).exists()
    assert (report.downloaded, report.files, report.received) == (3, 3, len(BIG) + 2)
    table_lines = lines_in(target / "downloaded.tsv")
    assert [(target / line["file_path"]).read_bytes() for line in table_lines] == list(fake.names.values())
    fake.seen.clear()

    again = fetch(client, FORMS[form](rows_of(fake)), target)

    assert (again.downloaded, again.skipped, fake.requests("GET", "/blob")) == (0, 3, [])
    assert lines_in(target / "downloaded.tsv") == table_lines
    assert fetch(client, (target / "downloaded.tsv").read_bytes(), target / "more").ok


def test_the_table_keeps_all_columns_of_the_manifest(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": b"1", "b": b"2"}
    rows = [{**row, "organ": 'brain\n"left"'} for row in rows_of(fake)]
    rows[1]["file_uuid"] = "none"
    columns = ["organ", *rows[0]]

    report = fetch(client, table(rows, [*dict.fromkeys(columns), "file_path"]), target)

    lines = lines_in(Path(report.table))
    assert [line["file_path"] for line in lines] == [f"{HERE}/a", ""]
    assert [{**line, "file_path": ""} for line in lines] == [
        {**{name: str(value) for name, value in row.items()}, "file_path": ""} for row in rows
    ]


@pytest.mark.parametrize("form", ["jsonl", "pfb"])
def test_documents_are_looked_up_in_the_catalogue(
    client: Client, fake: FakeDss, target: Path, form: str
) -> None:
    fake.names = {f"{number}": f"{number}".encode() for number in range(3)}
    bundles = [{"bundleUuid": BUNDLE, "bundleVersion": version} for version in ("2025", VERSION)]
    hits = [
        {"entryId": f"doc-{row['name']}", "files": [row], "bundles": bundles}
        for row in map(fake.row, fake.names)
    ]
    fake.catalogue = FakeCatalogue(hits)
    documents = [file_document(f"doc-{number}", f"{number}") for number in range(4)]

    report = fetch(client, {"jsonl": jsonl, "pfb": documents_pfb}[form](documents), target)

    assert content(target) == {f"{HERE}/{name}": data for name, data in fake.names.items()}
    assert [failure.name for failure in report.failed] == ["line 4: 3" if form == "jsonl" else "entity 4: 3"]
    assert "the catalogue has no file with document doc-3" in report.failed[0].why
    asked = [json.loads(params["filters"]) for path, params in fake.catalogue.asked if path == "files"]
    assert asked[0] == {"entryId": {"is": ["doc-0", "doc-1", "doc-2", "doc-3"]}}


def test_an_interrupted_download_fetches_only_the_rest(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"big": BIG}
    fake.fault("GET", "/blob/0", Fault(), Fault(), Fault(status=404))

    first = fetch(client, table(rows_of(fake)), target, jobs=1)

    assert "404" in first.failed[0].why
    assert first.failed[0].name == f"line 2: {HERE}/big"
    fake.seen.clear()
    second = fetch(client, table(rows_of(fake)), target, jobs=1)
    assert (second.ok, second.received) == (True, len(BIG) - 2 * MIB)
    assert content(target) == {f"{HERE}/big": BIG}


def test_urls_that_expire_are_renewed(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": BIG}
    fake.fault("GET", "/blob/0", Fault(), Fault(cut_after=700, expire=True))

    assert fetch(client, table(rows_of(fake)), target, jobs=2).ok
    assert content(target) == {f"{HERE}/a": BIG}


def test_wrong_lines_are_named_and_all_others_are_done(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"good": b"1", "../up": b"2", "back\\slash": b"3", "gone": b"4", "rot": b"5", "size": b"6"}
    rows = rows_of(fake)
    rows[3]["file_uuid"] = "x"
    rows[5]["file_size"] = 60
    fake.fault("GET", "/blob/4", Fault(rot=True))

    report = fetch(client, table(rows), target)

    assert {failure.name: failure.why for failure in report.failed} == {
        "line 3: ../up": "file_name: '../up' leads out of the directory, or is empty",
        f"line 4: {HERE}/back\\slash": f"name: {HERE + '/back' + chr(92) + 'slash'!r} holds a backslash or a "
        "control character",
        "line 5: gone": "file_uuid: 'x' is not a UUID",
        f"line 6: {HERE}/rot": report.failed[-2].why,
        f"line 7: {HERE}/size": "size: the manifest says 60, the DSS 1; the manifest is damaged, or of "
        "another DSS; get it again",
    }
    assert "sha256" in report.failed[-2].why
    assert content(target) == {f"{HERE}/good": b"1"}
    assert report.files == 6


def test_a_manifest_that_is_cut_fetches_nothing(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": b"1", "b": b"2"}

    with pytest.raises(InvalidInput, match="the manifest is cut, or damaged: line 3: has 5 cells"):
        fetch(client, table(rows_of(fake))[:-70], target)
    with pytest.raises(InvalidInput, match="the manifest names no files"):
        fetch(client, table([]), target)

    assert not target.exists()
    assert fake.seen == []


def test_very_many_wrong_lines_are_one_error(client: Client, target: Path) -> None:
    data = table([{"file_uuid": "x", "file_name": "y"}] * 1_001)

    with pytest.raises(
        InvalidInput, match="more than 1,000 lines of the manifest are wrong, and nothing was fetc"
    ):
        fetch(client, data, target)
    assert not target.exists()


def test_doubled_lines_count_once_and_another_file_of_the_same_name_is_named(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"a": b"1", "b": b"2"}
    first, second = rows_of(fake)

    report = fetch(client, table([first, first, {**second, "file_name": "a"}]), target)

    assert (report.files, report.downloaded) == (2, 1)
    assert content(target) == {f"{HERE}/a": b"1"}
    [failure] = report.failed
    assert failure.name == "line 4: a"
    assert f"line 2 has another file for the same path, '{HERE}/a'; keep one" in failure.why


def test_names_that_a_directory_cannot_hold_are_placed_nearby(
    client: Client, fake: FakeDss, target: Path
) -> None:
    long = "é" * 200 + ".fastq.gz"
    fake.names = {"a//b": b"1", "a/b": b"2", "c": b"3", "c/d": b"4", long: b"5"}

    report = fetch(client, table(rows_of(fake)), target)

    assert report.ok
    assert {name.removeprefix(f"{HERE}/"): path for name, path in report.placed.items()}.keys() == {
        "a//b",
        "c",
        long,
    }
    assert report.placed[f"{HERE}/a//b"] == f"{HERE}/a/b~1"
    assert sorted(content(target).values()) == sorted(fake.names.values())
    assert lines_in(Path(report.table))[0]["file_path"] == f"{HERE}/a/b~1"


class Folding(Rehearsal):
    """A file system that ignores case."""

    def collisions(self, paths: Iterable[str]) -> dict[str, str]:
        same = suspicious(paths)
        return {path: next(other for other in same if other != path) for path in same}


def test_names_that_are_one_file_are_found_before_anything_is_fetched(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"Reads": b"1", "reads": b"2", "other": b"3"}

    report = manifest_download.download_manifest(
        client,
        io.BytesIO(table(rows_of(fake))),
        DownloadOptions(to=target),
        name="x",
        rehearsal=Folding(target),
    )

    assert [failure.name for failure in report.failed] == [f"line 2: {HERE}/Reads", f"line 3: {HERE}/reads"]
    assert content(target) == {f"{HERE}/other": b"3"}


def test_only_the_given_names_are_fetched(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a.json": b"1", "sub/b.json": b"2", "c.bam": b"3"}

    assert fetch(client, table(rows_of(fake)), target, names="*.json").files == 2
    with pytest.raises(
        InvalidInput, match=r"no file of the manifest matches 'd\.bam'; did you mean 'c\.bam'"
    ):
        fetch(client, table(rows_of(fake)), target, names=["*.json", "d.bam"])


def test_links_in_the_directory_lead_nowhere(
    client: Client, fake: FakeDss, target: Path, tmp_path: Path
) -> None:
    fake.names = {"a": b"evil"}
    (tmp_path / "outside").mkdir()
    target.mkdir()
    (target / HERE).symlink_to(tmp_path / "outside")

    report = fetch(client, table(rows_of(fake)), target)

    assert "is a symbolic link" in report.failed[0].why
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_in_place_of_the_table_is_the_manifests(client: Client, fake: FakeDss, target: Path) -> None:
    fake.names = {"a": b"1"}
    data = FORMS["curl"](rows_of(fake)).replace(f"{BUNDLE}/a".encode(), b"downloaded.tsv")

    report = fetch(client, data, target)

    assert (target / "downloaded.tsv").read_bytes() == b"1"
    assert (report.table, len(report.warnings)) == ("", 1)


def test_two_downloads_to_one_directory_exclude_each_other(
    client: Client, fake: FakeDss, target: Path
) -> None:
    fake.names = {"a": b"content"}
    target.mkdir()

    with only_process(target, "a test"), pytest.raises(Busy, match="another process"):
        fetch(client, table(rows_of(fake)), target)


def test_after_a_hopeless_failure_one_stands_for_the_rest(
    client: Client, fake: FakeDss, target: Path, clock: HeldClock
) -> None:
    fake.names = {f"{number}": b"1" for number in range(50)}
    fake.broken[("GET", "/files/")] = Fault(status=403, body={"code": "Forbidden", "title": "no"})

    report = fetch(client, table(rows_of(fake)), target, jobs=1)

    assert len(report.failed) == 2
    assert report.failed[0].name == "49 more files"
    assert "not tried after 403 Forbidden" in report.failed[0].why
    assert clock.slept == []


def test_after_very_many_failures_the_rest_is_not_tried(
    client: Client, fake: FakeDss, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.names = {f"{number}": b"1" for number in range(50)}
    fake.broken[("GET", "/files/")] = Fault(status=404, body={"code": "not_found", "title": "no"})
    monkeypatch.setattr(manifest_download, "_MOST_FAILURES", 5)

    report = fetch(client, table(rows_of(fake)), target, jobs=2)

    assert any(failure.why == "not tried after 5 failures" for failure in report.failed)
    assert len(fake.requests("GET", "/files/")) < 10


def test_a_manifest_may_be_a_file_a_link_or_stdin(
    fake: FakeDss, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.names = {"a": b"1"}
    data = table(rows_of(fake))
    (tmp_path / "mine.tsv").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    fake.names["mine.tsv"] = data
    link = fake.signed("mine.tsv")
    env = {"DSS_URL": fake.url, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    named = dss_here(env, "download", "--manifest", "mine.tsv", "--json").json
    piped = dss_here(env, "download", "--manifest", "-").out
    linked = dss_here(env, "download", "--manifest", link, "--to", "linked").out

    assert (named["directory"], named["table"]) == (
        str(tmp_path / "mine"),
        str(tmp_path / "mine/downloaded.tsv"),
    )
    assert named["form"] == "table (TSV)"
    assert piped.startswith(f"{tmp_path / 'manifest'}\n1 files downloaded, 0 there already, 1 bytes verified")
    assert content(tmp_path / "linked") == content(tmp_path / "mine") == {f"{HERE}/a": b"1"}
    assert linked.startswith(f"{tmp_path / 'linked'}\n")


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--manifest", "nowhere.tsv"], 1, "dss: [Errno 2] No such file or directory: 'nowhere.tsv'"),
        ([], 2, "give a BUNDLE, or --manifest FILE"),
        ([BUNDLE, "--manifest", "x"], 2, "give a BUNDLE, or --manifest FILE"),
        (["--manifest", "x", "--version", VERSION], 2, "--manifest: it takes no --version"),
        ([BUNDLE, "--catalog", "hca"], 2, "--catalog: it needs --manifest"),
    ],
)
def test_a_command_line_that_is_wrong_says_what(fake: FakeDss, words: list[str], code: int, why: str) -> None:
    outcome = dss_here({"DSS_URL": fake.url}, "download", *words)

    assert (outcome.code, why in outcome.err) == (code, True), outcome.err


def test_a_link_that_works_no_more_says_how_to_get_another(fake: FakeDss, client: Client) -> None:
    fake.names = {"mine.tsv": b""}
    link = fake.signed("mine.tsv")
    fake.signature += 1

    with pytest.raises(
        InvalidInput, match=r"does not work, or not any more: 403 .* `dss manifest --link` makes an"
    ):
        client.download_manifest(link)


# Not `ru_maxrss`, in which the parent's memory at the fork counts.
_PLAN = """
import re, sys
from dss.manifests.entries import entry_of
from dss.manifests.formats import form_of, rows
from dss.transfer.manifest_plan import Plan
from dss.transfer.placement import Rehearsal
from pathlib import Path
lines, plan = int(sys.argv[1]), Plan()
with open(sys.argv[2], "rb") as stream:
    for row in rows(stream, form_of(stream)):
        plan.add(entry_of(row))
assert list(plan.settle(255, Rehearsal(Path(sys.argv[2] + ".names")))) == []
assert sum(1 for _ in plan.planned()) == plan.files == lines
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.parametrize("lines", [60_000, pytest.param(1_000_000, marks=pytest.mark.large)])
def test_the_memory_that_a_plan_takes_does_not_grow_with_the_manifest(tmp_path: Path, lines: int) -> None:
    def mebibytes(lines: int) -> int:
        path = tmp_path / f"{lines}.tsv"
        with path.open("w") as file:
            file.write("bundle_uuid\tbundle_version\tfile_name\tfile_uuid\tfile_version\n")
            for number in range(lines):
                uuid = f"22222222-2222-4222-8222-{number:012d}"
                bundle = f"11111111-1111-4111-8111-{number // 20:012d}"
                file.write(f"{bundle}\t{VERSION}\treads/{number}.fastq.gz\t{uuid}\t{VERSION}\n")
        done = subprocess.run(
            [sys.executable, "-c", _PLAN, str(lines), str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    few, many = mebibytes(20_000), mebibytes(lines)

    print(f"{lines:,} lines: {many} MiB, 20,000: {few} MiB")
    # What SQLite keeps of a file, and of what it sorts. As objects the lines would take 40 MiB more.
    assert many - few < 24, (few, many)


def test_threads_share_a_plan() -> None:
    plan = Plan()
    for number in range(200):
        plan.add(Entry(place=f"line {number}", path=f"d/{number}", name=f"{number}", uuid="u", version="v"))

    def note(start: int) -> None:
        for file in list(plan.planned())[start::4]:
            plan.done(file, version="v", size=1, sha256="")

    workers = [threading.Thread(target=note, args=(start,)) for start in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [file.path for file in plan.fetched()] == [f"d/{number}" for number in range(200)]
