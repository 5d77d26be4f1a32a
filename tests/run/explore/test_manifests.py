"""Manifests over HTTP: made at once or by the workflow, for those who may read what they say, for a week."""

import csv
import io
import json
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import fastavro
import pyarrow.parquet
import pytest
import requests

from run.explore.manifest_tokens import ManifestKey, ManifestToken, parse_token
from shared.catalog import JobState, ManifestOrder
from shared.catalogue_manifests import making, steps
from shared.catalogue_manifests.steps import ManifestStep
from shared.errors import IllegalArguments
from shared.explore.base import INDEXED
from shared.explore.manifests.formats import compact
from tests.support.api import Api, new_uuid
from tests.support.clouds import Clouds
from tests.support.dss import firestore_client
from tests.support.executions import executions_server
from tests.support.explore_service import ExploreService, assert_refused, explore_service
from tests.support.function_process import function_process
from tests.support.hca_sample import HcaBundle, sequenced
from tests.support.waiting import wait_until

NAME, LAB = "manifests", "manifest-lab"
PUT, FETCH = "/manifest/files", "/fetch/manifest/files"


@pytest.fixture(scope="module")
def made(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExploreService]:
    """A service with a workflow; its catalogue has three bundles of two files, one of them for LAB."""
    catalogues = json.dumps([{"name": NAME, "plugin": "hca"}])
    scratch = tmp_path_factory.mktemp("executions")
    with (
        function_process("manifest", stack, DSS_CATALOGUES=catalogues) as function,
        executions_server({**stack, "DSS_MANIFEST_FUNCTION_URL": function.url}, scratch) as host,
        explore_service(stack, NAME, DSS_WORKFLOWS_EMULATOR_HOST=host) as found,
    ):
        found.put(NAME, sequenced("m1", project="one", specimen="a", organ="brain").metadata())
        found.put(NAME, sequenced("m2", project="two", specimen="b", organ="heart").metadata(), LAB)
        found.put(NAME, sequenced("m3", project="three", specimen="c", organ="liver").metadata())
        yield found


def started(by: Api, *, filters: Any = None, path: str = PUT, **query: Any) -> requests.Response:
    if filters is not None:
        query["filters"] = json.dumps(filters)
    return by.put(path, **query)


def content(answer: requests.Response) -> bytes:
    """Return the manifest to which an answer leads."""
    assert answer.status_code == 302, answer.text
    found = requests.get(answer.headers["Location"], timeout=60)
    assert found.status_code == 200, found.text
    return found.content


def rows(answer: requests.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(answer).decode(), newline=""), delimiter="\t"))


def ready(by: Api, answer: requests.Response) -> requests.Response:
    """Ask until a manifest is ready, faster than the service says."""
    latest = [answer]

    def is_ready() -> bool:
        if latest[0].status_code == 301:
            latest[0] = by.get(latest[0].headers["Location"])
        return latest[0].status_code != 301

    wait_until(is_ready, "the manifest is ready")
    return latest[0]


def object_of(answer: requests.Response) -> str:
    return urlsplit(answer.headers["Location"]).path


def job_of(url: str) -> str:
    return parse_token(url.rpartition("/")[2]).job_id


def in_one_order(documents: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


def organs(found: list[dict[str, str]]) -> list[str]:
    return sorted(row["specimen_from_organism.organ"] for row in found)


def test_a_small_manifest_is_there_at_once(made: ExploreService) -> None:
    answer = started(made.api, filters={"organ": {"is": ["brain"]}})

    found = rows(answer)
    assert organs(found) == ["brain", "brain"]
    assert {row["file_name"] for row in found} == {"m1_1.fastq", "m1_2.fastq"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"].startswith("text/plain")
    for line in ("curl --location --fail --output 'one ", 'curl.exe --location --fail --output "one '):
        assert line in answer.text
    [name] = parse_qs(urlsplit(answer.headers["Location"]).query)["response-content-disposition"]
    assert name.startswith('attachment; filename="one 2') and name.endswith('.tsv"')


def test_the_same_again_is_the_same_object_until_the_catalogue_changes(made: ExploreService) -> None:
    filters = {"organ": {"is": ["brain", "kidney"]}}
    first = started(made.api, filters=filters)
    again = made.api.put(
        PUT, json={"filters": json.dumps({"organ": {"is": ["kidney", "brain"]}}), "catalog": NAME}
    )
    other = started(made.api, filters=filters, format="curl")

    assert object_of(again) == object_of(first) != object_of(other)

    made.put(NAME, sequenced("m4", project="four", specimen="d", organ="kidney").metadata())
    changed = started(made.api, filters=filters)

    assert object_of(changed) != object_of(first)
    assert organs(rows(changed)) == ["brain", "brain", "kidney", "kidney"]
    # What was made before stays.
    assert organs(rows(first)) == ["brain", "brain"]


def test_scripts_get_the_redirect_as_json(made: ExploreService) -> None:
    answer = started(made.api, path=FETCH, filters={"organ": {"is": ["liver"]}})

    assert answer.status_code == 200
    state = answer.json()
    assert state.keys() == {"Status", "Location", "CommandLine"}
    assert state["Status"] == 302
    assert state["CommandLine"]["bash"].endswith(f"'{state['Location']}'")
    assert state["CommandLine"]["cmd.exe"].endswith(f'"{state["Location"]}"')
    assert requests.get(state["Location"], timeout=60).content.count(b"\r\n") == 3


def test_a_selection_of_nothing_is_a_manifest_of_nothing(made: ExploreService) -> None:
    nothing = {"organ": {"is": []}}

    assert content(started(made.api, filters=nothing)).count(b"\r\n") == 1
    assert b"url=" not in content(started(made.api, filters=nothing, format="curl"))
    assert content(ready(made.api, started(made.api, filters=nothing, format="verbatim.jsonl"))) == b""


def test_everybody_gets_what_they_may_read(made: ExploreService) -> None:
    stranger, other = made.api, made.member("others")
    member, admin = made.member(LAB, "x"), made.admin
    found = {name: started(by) for name, by in locals().items() if isinstance(by, Api)}

    assert "heart" not in organs(rows(found["stranger"]))
    assert organs(rows(found["member"])).count("heart") == organs(rows(found["admin"])).count("heart") == 2
    # Groups that make no difference make none here.
    assert object_of(found["stranger"]) == object_of(found["other"])
    assert object_of(found["member"]) == object_of(started(made.member("y", LAB)))
    assert len({object_of(answer) for answer in found.values()}) == 3


def test_others_do_not_get_what_they_may_not_read(made: ExploreService) -> None:
    member = made.member(LAB)
    of_member = job_of(started(member, path=FETCH, format="curl").json()["Location"])
    of_stranger = job_of(started(made.api, path=FETCH, format="curl").json()["Location"])
    of_admin = job_of(started(made.admin, path=FETCH, format="curl").json()["Location"])

    def asked(by: Api, job: str) -> requests.Response:
        return by.get(f"{PUT}/{ManifestToken(job)}")

    for by, job in ((made.api, of_member), (made.member("others"), of_member), (member, of_admin)):
        assert_refused(asked(by, job), 403, "made for others")
    for by, job in (
        (member, of_member),
        (member, of_stranger),
        (made.admin, of_member),
        (made.api, of_stranger),
    ):
        assert asked(by, job).status_code == 302


def test_what_is_withheld_is_in_no_later_manifest(made: ExploreService) -> None:
    bundle = sequenced("m5", project="five", specimen="e", organ="skin").metadata()
    made.put(NAME, bundle)
    filters = {"organ": {"is": ["skin"]}}
    assert len(rows(started(made.api, filters=filters))) == 2

    made.put(NAME, bundle, LAB)

    assert rows(started(made.api, filters=filters)) == []
    assert len(rows(started(made.member(LAB), filters=filters))) == 2


def test_a_link_to_a_curl_manifest_needs_no_sign_in_and_is_refused_with_one(made: ExploreService) -> None:
    state = started(made.member(LAB), path=FETCH, format="curl", filters={"organ": {"is": ["heart"]}}).json()
    link = state["Location"]
    assert link.startswith(f"{made.api.url}/manifest/files/")
    assert state["CommandLine"]["bash"] == (
        f"curl --location --fail {link}"
        " | curl --fail-early --continue-at - --retry 15 --retry-delay 10 --config -"
    )

    assert content(made.api.get(link)).count(b"url=") == 2
    assert made.get(link.replace("/manifest/", "/fetch/manifest/"))["Location"] == link
    assert_refused(made.writer.get(link), 400, "needs no sign-in")
    # Another secret.
    parsed = parse_token(link.rpartition("/")[2])
    assert_refused(made.api.get(f"{PUT}/{ManifestKey(parsed.job_id, '0' * 32)}"), 410, "expired")


def test_a_large_manifest_is_made_by_the_workflow(made: ExploreService, clouds: Clouds) -> None:
    name = new_uuid()
    bundle = sequenced(name, project=name, specimen=new_uuid())
    assert made.index(NAME, made.upload(clouds, bundle)) == INDEXED
    filters = {"project": {"is": [name]}}

    first = started(made.api, filters=filters, format="verbatim.jsonl")

    assert (first.status_code, first.headers["Retry-After"]) == (301, "1")
    lines = [json.loads(line) for line in content(ready(made.api, first)).splitlines()]
    assert in_one_order(line["value"] for line in lines) == in_one_order(bundle.documents.values())
    assert {line["type"] for line in lines} >= {"links", "project", "sequence_file", "donor_organism"}
    # It is there at once now.
    assert started(made.api, filters=filters, format="verbatim.jsonl").status_code == 302

    table = list(
        csv.DictReader(
            io.StringIO(
                content(ready(made.api, started(made.api, filters=filters, format="full"))).decode(),
                newline="",
            ),
            delimiter="\t",
        )
    )
    assert [row["file_name"] for row in table] == [row["sequence_file.file_core.file_name"] for row in table]
    assert {row["bundle_uuid"] for row in table} == {bundle.fqid.uuid}
    assert all(list(row) == sorted(row) for row in table)
    assert {row["cell_suspension.estimated_cell_count"] for row in table} == {"100"}
    assert not any("describedBy" in each or "update_date" in each for each in table[0])


def test_terra_and_tools_for_tables_get_what_they_read(made: ExploreService, clouds: Clouds) -> None:
    name = new_uuid()
    bundle = sequenced(name, project=name, specimen=new_uuid())
    assert made.index(NAME, made.upload(clouds, bundle)) == INDEXED
    # What the workflow makes is made side by side.
    begun_first = {
        each: started(made.api, filters={"project": {"is": [name]}}, format=each)
        for each in ("parquet", "verbatim.pfb", "terra.bdbag", "terra.pfb")
    }
    answers = {each: ready(made.api, answer) for each, answer in begun_first.items()}
    found = {each: io.BytesIO(content(answer)) for each, answer in answers.items()}

    sizes = pyarrow.parquet.read_table(found["parquet"])["file_size"].to_pylist()
    assert sorted(sizes) == [10, 20]
    values = [each["object"] for each in fastavro.reader(found["verbatim.pfb"])][1:]
    assert len(values) == len(bundle.documents)
    names = [each["name"] for each in fastavro.reader(found["terra.pfb"])]
    assert names[0] == "Metadata" and names.count("files") == 2
    with zipfile.ZipFile(found["terra.bdbag"]) as bag:
        table = bag.read("manifest/data/participants.tsv").decode()
    assert table.splitlines()[1].startswith(str(bundle.fqid))
    queries = {each: parse_qs(urlsplit(answers[each].headers["Location"]).query) for each in answers}
    # Terra takes no bag that is served with a name.
    assert "response-content-disposition" not in queries["terra.bdbag"]
    [disposition] = queries["terra.pfb"]["response-content-disposition"]
    assert disposition.startswith(f'attachment; filename="{name} ') and disposition.endswith('.avro"')


def test_who_asks_is_told_when_to_ask_again(made: ExploreService) -> None:
    # Nobody works on it.
    job = begun(made)
    asked = [made.api.get(f"{PUT}/{ManifestToken(job)}")]
    for _ in range(4):
        asked.append(made.api.get(asked[-1].headers["Location"]))

    assert [answer.status_code for answer in asked] == [301] * 5
    assert [answer.headers["Retry-After"] for answer in asked] == ["1", "4", "6", "10", "10"]
    state = made.get(f"{FETCH}/{ManifestToken(job)}")
    assert (state["Status"], state["Retry-After"], state["Progress"]) == (
        301,
        1,
        {"files": 7, "filesDone": 0},
    )
    assert "/fetch/manifest/files/" in state["Location"]


def begun(made: ExploreService, selection: str = '[{}, ""]') -> str:
    """Begin a manifest on which nobody works."""
    labels = made.dss.catalogues.labels(frozenset({"default"}))
    order = ManifestOrder(
        key=new_uuid(),
        catalogue=NAME,
        format="compact",
        base_url=made.api.url,
        labels=labels,
        selection=selection,
        files=7,
        name="x.tsv",
    )
    return made.dss.catalog.manifests.begin(order, requester="", at_most=100, at_most_each=100).id


class Killed(Exception):
    """Stands for a kill at a fault point."""


class Kills:
    """Kills the first time that each fault point is reached."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    def reach(self, point: str) -> None:
        if point not in self.reached:
            self.reached.append(point)
            raise Killed(point)


def test_a_kill_at_any_moment_costs_what_was_not_saved(
    made: ExploreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "_FILES", 1)
    monkeypatch.setattr(making, "_PIECE", 1000)
    monkeypatch.setattr(making, "_SAVE_SECONDS", 0)
    monkeypatch.setattr(steps, "_STEP_SECONDS", 0)
    filters = {"organ": {"is": ["brain", "liver"]}}
    expected = content(started(made.api, filters=filters))
    job = begun(made, json.dumps([filters, ""]))
    kills = Kills()
    dss = replace(made.dss, faults=cast(Any, kills))

    def step(name: str) -> Any:
        for _ in range(3):
            try:
                return getattr(ManifestStep(dss, job, 1), name)()
            except Killed:
                assert made.api.get(f"{PUT}/{ManifestToken(job)}").status_code == 301
        return None

    calls = 1
    while not step("work")["over"]:
        # As of a workflow that was started twice.
        stale = ManifestStep(made.dss, job, 1)
        ManifestStep(made.dss, job, 1).work()
        stale.work()
        calls += 1
    assert calls > 1
    assert step("finish") == {"state": "SUCCEEDED"}
    assert kills.reached == ["manifest: pieces written", "manifest: joined"]
    assert content(made.api.get(f"{PUT}/{ManifestToken(job)}")) == expected
    # Steps that come late change nothing.
    for name in ("work", "finish"):
        step(name)
    assert ManifestStep(made.dss, job, 1).abort("late") == {"state": "SUCCEEDED"}
    assert content(made.api.get(f"{PUT}/{ManifestToken(job)}")) == expected


def test_a_manifest_that_could_not_be_made_is_an_error_until_it_is_started_again(
    made: ExploreService,
) -> None:
    catalog = made.dss.catalog.manifests
    job = catalog.get(begun(made))
    assert job
    catalog.end(job, JobState.FAILED, cause="no luck")

    for path in (PUT, FETCH):
        assert_refused(made.api.get(f"{path}/{ManifestToken(job.id)}"), 500, "no luck", "PUT")
    again = catalog.begin(job.order, requester="", at_most=100, at_most_each=100)
    assert (again.attempt, again.state) == (2, JobState.RUNNING)


def test_a_manifest_is_gone_after_a_week(made: ExploreService) -> None:
    filters = {"organ": {"is": ["brain", "liver", "nothing"]}}
    state = started(made.api, path=FETCH, filters=filters, format="curl").json()
    job_id = job_of(state["Location"])
    first = started(made.api, filters=filters, format="curl")
    document = firestore_client(made.env).collection("manifest_jobs").document(job_id)
    job = made.dss.catalog.manifests.get(job_id)
    assert job
    document.update({"touched": job.touched - timedelta(days=7, seconds=1)})

    assert_refused(made.api.get(state["Location"]), 410, "expired", "PUT /manifest/files")
    assert_refused(made.api.get(f"{FETCH}/{ManifestToken(job_id)}"), 410, "expired")
    assert_refused(made.api.get(f"{PUT}/{ManifestToken(new_uuid())}"), 410, "expired")
    # Another one is made, and the old link does not lead to it.
    again = started(made.api, filters=filters, format="curl")
    assert object_of(again) != object_of(first)
    # Nobody gets one that is about to go.
    job = made.dss.catalog.manifests.get(job_id)
    assert job and job.is_good_at(job.touched + timedelta(days=6, hours=23))
    assert not job.is_good_at(job.touched + timedelta(days=6, hours=23, minutes=50))
    assert_refused(made.api.get(state["Location"]), 410, "expired")


@pytest.mark.parametrize("path", [PUT, FETCH])
@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"format": "tsv"}, 400, "Unknown manifest format 'tsv'. Must be one of {'compact', 'curl',"),
        ({"format": ""}, 400, "Unknown manifest format"),
        ({"catalog": "nothing"}, 404, "Catalog name 'nothing' does not exist"),
        ({"catalog": "No Name"}, 400, "Invalid value for `catalog`"),
        ({"filters": "{"}, 400, "not valid JSON"),
        ({"filters": '{"organs": {"is": []}}'}, 400, "Unknown field `organs`"),
        ({"size": "1"}, 400, "Unknown query parameter `size`"),
        ({"filters": '{"sourceId": {"is": ["x"]}}'}, 403, "source"),
    ],
)
def test_what_is_wrong_is_said(
    made: ExploreService, path: str, query: dict[str, str], status: int, words: str
) -> None:
    assert_refused(made.api.put(path, **query), status, words)
    assert_refused(made.api.put(path, json=query), status, words)


def test_tokens_that_are_none_are_refused(made: ExploreService) -> None:
    token = str(ManifestToken(new_uuid(), 12))
    key = str(ManifestKey(new_uuid(), "ab" * 16))
    for text in ("x", "%20", "ü", "a" * 4000, token + "A", new_uuid()):
        for path in (PUT, FETCH):
            assert_refused(made.api.get(f"{path}/{text}"), 400, "Invalid token")
    for text in (token, key):
        assert str(parse_token(text)) == text
        for end in range(len(text)):
            with pytest.raises(IllegalArguments):
                parse_token(text[:end])


def test_curl_downloads_the_files_of_a_manifest_and_resumes(
    made: ExploreService, clouds: Clouds, tmp_path: Path
) -> None:
    name = new_uuid()
    bundle = HcaBundle(name, project=name)
    names = [f"{name}.zarr/.zattrs", f"{name}.zarr/data/0.0", f"{name} a?.txt", "CON.txt"]
    for each in names:
        bundle.file(each, "analysis_file", size=20)
    assert made.index(NAME, made.upload(clouds, bundle)) == INDEXED
    state = started(made.api, path=FETCH, format="curl", filters={"project": {"is": [name]}}).json()
    command = state["CommandLine"]["bash"].replace("curl ", "curl --silent --show-error ")
    folder = tmp_path / bundle.fqid.uuid
    uuid = next(entry["uuid"] for entry in bundle.files if entry["name"] == "CON.txt")
    saved = [f"{name}.zarr/.zattrs", f"{name}.zarr/data/0.0", f"{name} a_.txt", uuid]

    for present in ({}, dict.fromkeys(saved[:2], b"x" * 20), dict.fromkeys(saved, b"x" * 7)):
        for each, data in present.items():
            (folder / each).write_bytes(data)
        subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, check=True, timeout=60)
        found = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        assert found == dict.fromkeys(saved, b"x" * 20)
