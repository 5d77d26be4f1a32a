"""Objects that are in a cloud already become files and bundles: over the wire, by the workflow."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.imports.rules import bundle_uuid
from tests.support.api import assert_problem, new_uuid
from tests.support.command_line import Outcome, dss
from tests.support.import_harness import ImportHarness, import_harness


@pytest.fixture(scope="module")
def rig(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportHarness]:
    with import_harness(stack, tmp_path_factory.mktemp("imports")) as found:
        yield found


def bundle_of(rig: ImportHarness, replica: str, name: str, *, scope: str = "") -> list[dict[str, Any]]:
    """Return the files of the newest version of a bundle."""
    answer = rig.api.get(f"/v1/bundles/{bundle_uuid(scope, name)}", replica=replica)
    assert answer.status_code == 200, answer.text
    files: list[dict[str, Any]] = answer.json()["bundle"]["files"]
    return files


def command(rig: ImportHarness, *arguments: object) -> Outcome:
    """Run `dss import` against the rig."""
    return dss({**rig.env, "DSS_URL": rig.api.url}, "import", *arguments)


def test_each_folder_becomes_a_bundle_of_its_objects(rig: ImportHarness, replica: str) -> None:
    objects = {"a/reads/1.fastq": b"ACGT", "a/about.json": b'{"organ": "brain"}', "b/2.fastq": b"TTTT"}
    source = rig.folder(replica, objects)

    listed = rig.list(source=source)
    assert (listed["status"], listed["stage"], listed["ready"]) == ("SUCCEEDED", "list", True)
    assert listed["listed"]["objects"] == 3 and listed["listed"]["bundles"] == 2
    done = rig.start(listed["uuid"])

    assert (done["status"], done["done"]["files"], done["done"]["bundles"]) == ("SUCCEEDED", 3, 2), done
    assert rig.report(listed["uuid"]) == []
    files = bundle_of(rig, replica, f"{source}a/")
    assert {file["name"]: file["indexed"] for file in files} == {"about.json": True, "reads/1.fastq": False}
    content = rig.api.get(f"/v1/files/{files[1]['uuid']}", replica=replica, version=files[1]["version"])
    assert rig.api.get(content.headers["Location"]).content == b"ACGT"


def test_the_command_previews_imports_and_finds_it_there_again(rig: ImportHarness) -> None:
    source = rig.folder("gcp", {"a/1": b"one", "b/2": b"two"})

    preview = command(rig, source)
    assert preview.code == 0, preview.err
    assert "2 objects, 6 bytes, 2 bundles" in preview.out and "USD once" in preview.out
    resume = preview.out.splitlines()[-1].removeprefix("dss import ").removesuffix(" imports it").split()
    assert rig.api.get(f"/v1/bundles/{bundle_uuid('', f'{source}a/')}", replica="gcp").status_code == 404
    first = command(rig, *resume, "--wait")
    again = command(rig, source, "--yes", "--wait", "--json")

    assert (first.code, "2 files and 2 bundles are new, 0 and 0" in first.out) == (0, True), first
    assert again.code == 0, again.err
    assert again.json["done"] == {
        "files_there": 2,
        "bytes_there": 6,
        "bundles": 0,
        "bundles_there": 2,
        "copying": 0,
    }
    assert [file["name"] for file in bundle_of(rig, "gcp", f"{source}a/")] == ["1"]
    shown = command(rig, "--status", again.json["uuid"])
    assert shown.code == 0 and "SUCCEEDED" in shown.out


def test_a_table_on_this_machine_is_staged_and_its_wrong_rows_are_named(
    rig: ImportHarness, tmp_path: Path
) -> None:
    source, name = rig.folder("gcp", {"x": b"x", "y": b"y"}), new_uuid()
    table = tmp_path / "table.tsv"
    rows = [
        "source_url\tbundle\tname",
        f"{source}x\t{name}\tone",
        f"{source}gone\t{name}\ttwo",
        f"{source}y\t{name}",
    ]
    table.write_text("\n".join(rows))

    done = command(rig, "--table", table, "--yes", "--wait")

    assert done.code == 1, done
    assert "1 objects or bundles did not go in" in done.err and f"line 3: {source}gone" in done.err
    assert [file["name"] for file in bundle_of(rig, "gcp", name)] == ["one", "y"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "either source, a folder, or table"),
        ({"source": "gs://b/f", "table": "gs://b/t"}, 400, "either source"),
        ({"source": "gs:///f"}, 400, "gs://bucket/folder"),
        ({"source": "ftp://b/f"}, 400, "not a supported scheme"),
        ({"source": "gs://not-for-you/f"}, 403, "may not put files from"),
        ({"source": "s3://STAGING/f", "replica": "gcp"}, 400, "in the cloud of replica aws"),
        ({"source": "gs://STAGING/f", "depth": 21}, 400, "depth"),
        ({"source": "gs://STAGING/f", "metadata": [""]}, 400, "patterns"),
        ({"source": "gs://STAGING/f", "owner_group": "no group!"}, 400, "owner_group"),
    ],
)
def test_an_order_that_can_not_be_done_is_refused(
    rig: ImportHarness, body: Mapping[str, Any], status: int, words: str
) -> None:
    staging = {"gs": rig.clouds.staging["gcp"], "s3": rig.clouds.staging["aws"]}
    text = json.dumps(body)
    for scheme, bucket in staging.items():
        text = text.replace(f"{scheme}://STAGING", f"{scheme}://{bucket}")

    answer = rig.api.put(f"/imports/{new_uuid()}", json=json.loads(text))

    assert answer.status_code == status and words in answer.json()["title"], answer.text


def test_an_import_is_its_owners_and_can_be_cancelled_and_repeated(rig: ImportHarness) -> None:
    source, other = (rig.folder("gcp", {f"a/{number}": b"1"}) for number in (1, 2))
    import_id = rig.list(source=source)["uuid"]
    path = f"/imports/{import_id}"

    assert rig.api.put(path, json={"source": source}).status_code == 200
    assert_problem(rig.api.put(path, json={"source": other}), 409, "conflict", import_id)
    assert rig.api.signed_in(None).get(path).status_code == 401
    assert rig.admin.get(path).status_code == 200
    assert_problem(rig.api.get(f"/imports/{new_uuid()}"), 404, "not_found", "no import")
    assert rig.api.delete(path).json()["status"] == "SUCCEEDED"
    assert_problem(rig.api.get(f"{path}/report", part=7), 400, "illegal_arguments", "part")


def test_a_bucket_that_is_not_there_fails_the_list_with_the_reason(rig: ImportHarness) -> None:
    bucket = rig.clouds.staging["gcp"]

    failed = rig.list(table=f"gs://{bucket}/{new_uuid()}/nothing.tsv")

    assert failed["status"] == "FAILED" and "nothing.tsv" in failed["cause"], failed
    answer = rig.api.post(f"/imports/{failed['uuid']}/start")
    assert_problem(answer, 409, "conflict", "not listed")
