"""`dss terra` against a running system; Terra's part is played by tests/support/terra.py."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.cloud import storage

from tests.support.api import Api, Version, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.command_line import Outcome, dss_here
from tests.support.terra import Reference, Workspace
from tests.support.waiting import wait_until

CONTENT = b'{"organ": {"text": "brain"}}'


@pytest.fixture(scope="module")
def env(whole_system: dict[str, str]) -> dict[str, str]:
    """What a user of Terra has beside the DSS: a service account."""
    key = whole_system["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"]
    return {**whole_system, "GOOGLE_APPLICATION_CREDENTIALS": key}


@pytest.fixture(scope="module")
def writer(env: dict[str, str]) -> Api:
    return Api(env["DSS_URL"], env["DSS_TOKEN"])


@pytest.fixture(scope="module")
def file(env: dict[str, str], writer: Api) -> Version:
    return put_file(writer, Clouds(env).stage("gcp", CONTENT, content_type="application/json"))


@pytest.fixture(scope="module")
def bundle(writer: Api, file: Version) -> Version:
    return put_bundle(writer, "gcp", [file.named("cell.json", indexed=True), file.named("copy/of it.json")])


def exported(env: dict[str, str], *arguments: object) -> Outcome:
    return dss_here(
        env, "terra", "export", *arguments, "--to", f"gs://{env['DSS_GS_STAGING_BUCKET']}/exports/"
    )


def test_an_export_is_imported(env: dict[str, str], bundle: Version, file: Version) -> None:
    outcome = exported(env, bundle.uuid, str(bundle))

    assert outcome.code == 0, outcome.err
    assert "1 bundles, 2 files" in outcome.err
    link = outcome.out.strip()
    assert link.startswith("https://app.terra.bio/#import-data?format=pfb&url=http")
    workspace = Workspace()
    workspace.import_link(link)
    [bundle_id] = workspace.tables["bundle"]
    host = urlsplit(env["DSS_URL"]).netloc
    assert workspace.tables["bundle"][bundle_id]["pfb:drs_uri"] == f"drs://{host}/{bundle}"
    rows = workspace.tables["file"].values()
    assert {row["pfb:file_name"]: row["pfb:drs_uri"] for row in rows} == {
        "cell.json": f"drs://{host}/{file}",
        "copy/of it.json": f"drs://{host}/{file}",
    }
    assert all(row["pfb:bundle"] == Reference("bundle", bundle_id) for row in rows)


def test_both_tables_can_be_uploaded(env: dict[str, str], bundle: Version, tmp_path: Path) -> None:
    output = tmp_path / "bundle.tsv"
    written = dss_here(env, "terra", "table", bundle.uuid, "--table", "bundle", "--output", output, "--json")
    printed = dss_here(env, "terra", "table", bundle.uuid)

    assert written.json == {"table": "bundle", "rows": 1, "output": str(output)}
    assert list(tmp_path.iterdir()) == [output]
    workspace = Workspace()
    workspace.upload(output.read_bytes())
    workspace.upload(printed.out.encode())
    assert {row["file_name"] for row in workspace.tables["file"].values()} == {"cell.json", "copy/of it.json"}


def test_a_collection_stands_for_what_it_links_to(
    env: dict[str, str], writer: Api, bundle: Version, file: Version
) -> None:
    part = file.linked("organ", path="/organ")
    inner = put_collection(writer, "gcp", [bundle.linked("bundle"), part])
    outer = put_collection(
        writer, "gcp", [inner.linked("collection"), bundle.linked("bundle"), file.linked()]
    )

    done = exported(env, outer.uuid, "--json").json
    named = exported(env, f"{env['DSS_URL']}/v1/collections/{outer.uuid}", "--dry-run", "--json").json

    # The file beside the bundle is one row, although two links lead to it.
    assert (done["bundles"], done["files"]) == (named["bundles"], named["files"]) == (1, 3)
    workspace = Workspace()
    workspace.import_link(done["link"])
    assert sum("pfb:bundle" not in row for row in workspace.tables["file"].values()) == 1


def test_a_query_selects_what_it_finds(env: dict[str, str], bundle: Version, tmp_path: Path) -> None:
    query = tmp_path / "query.json"
    query.write_text(json.dumps({"query": {"term": {"uuid": bundle.uuid}}}))

    def rows() -> list[str]:
        return dss_here(env, "terra", "table", "--query", f"@{query}", "--table", "bundle").out.splitlines()[
            1:
        ]

    [row] = wait_until(rows, "the bundle is found")
    assert row.split("\t")[2:4] == [bundle.uuid, bundle.version]


def test_a_dry_run_writes_nothing(
    env: dict[str, str], bundle: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", env["STORAGE_EMULATOR_HOST"])
    prefix = f"dry/{bundle.uuid}/"
    to = f"gs://{env['DSS_GS_STAGING_BUCKET']}/{prefix}"

    def objects() -> int:
        return len(list(storage.Client(project="x").list_blobs(env["DSS_GS_STAGING_BUCKET"], prefix=prefix)))

    dry = dss_here(env, "terra", "export", bundle.uuid, "--to", to, "--dry-run", "--json").json
    assert (dry["bundles"], dry["files"], dry["link"], objects()) == (1, 2, "", 0)
    assert dss_here(env, "terra", "export", bundle.uuid, "--to", to, "--json").json["bytes"] == dry["bytes"]
    assert objects() == 1


def test_a_link_ends(env: dict[str, str], bundle: Version) -> None:
    link = exported(env, bundle.uuid, "--seconds", "1", "--terra", "https://anvil.terra.bio").out.strip()

    assert link.startswith("https://anvil.terra.bio/#import-data?")
    [url] = parse_qs(urlsplit(link).fragment)["url"]
    assert parse_qs(urlsplit(url).query)["X-Goog-Expires"] == ["1"]
    wait_until(lambda: "ExpiredToken" in requests.get(url, timeout=60).text, "the link has expired")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name bundles or collections, or give a query"),
        (["00000000-0000-4000-8000-000000000000"], "there is no bundle and no collection 00000000-"),
        (["drs://other.example.org/00000000-0000-4000-8000-000000000000"], "is on another DSS"),
        (["--query", '{"query": {"term": {"uuid": "none"}}}'], "the selection is empty"),
        (["--query", "{"], "the query is not JSON"),
        (["00000000-0000-4000-8000-000000000000", "--seconds", "604801"], "between 1 and 604800"),
    ],
)
def test_what_is_wrong_is_said(env: dict[str, str], arguments: list[str], words: str) -> None:
    outcome = exported(env, *arguments)

    assert (outcome.code, outcome.out) == (1, "")
    assert words in outcome.err


def test_a_bucket_of_another_cloud_is_refused(env: dict[str, str], bundle: Version) -> None:
    outcome = dss_here(env, "terra", "export", bundle.uuid, "--to", "s3://bucket")

    assert outcome.code == 1
    assert "not of the form gs://bucket/prefix" in outcome.err


def test_who_can_not_sign_learns_how(env: dict[str, str], bundle: Version, tmp_path: Path) -> None:
    person = {"type": "authorized_user", "client_id": "x", "client_secret": "x", "refresh_token": "x"}
    (tmp_path / "person.json").write_text(json.dumps(person))

    outcome = exported({**env, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "person.json")}, bundle.uuid)

    assert outcome.code == 1
    assert "--impersonate-service-account" in outcome.err
