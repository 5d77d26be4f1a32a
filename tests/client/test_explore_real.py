"""`dss explore` against the whole system: what is uploaded is found by what it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from dss.client import Client
from tests.support.api import new_uuid, now
from tests.support.command_line import dss_here
from tests.support.hca_sample import HcaBundle, sequenced
from tests.support.waiting import wait_until


@pytest.fixture
def env(whole_system: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {**whole_system, "XDG_CACHE_HOME": str(tmp_path / "cache")}


def _write(bundle: HcaBundle, directory: Path) -> Path:
    directory.mkdir()
    for name, document in bundle.documents.items():
        (directory / name).write_text(json.dumps(document))
    for file in bundle.files:
        (directory / file["name"]).write_bytes(b"x" * file["size"])
    return directory


def test_an_upload_is_found_by_organ_format_words_and_size(env: dict[str, str], tmp_path: Path) -> None:
    # Nobody else's: all tests share the system.
    organ = f"organ {new_uuid()}"
    client = Client(env["DSS_URL"], env["DSS_TOKEN"])
    data = _write(
        sequenced(f"b{now()[:19]}", organ=organ, project=new_uuid(), specimen=new_uuid()), tmp_path / "data"
    )
    uuid = dss_here(env, "upload", data, "--json").json["uuid"]
    filters: dict[str, Any] = {"organ": organ}

    wait_until(lambda: client.explore("bundles", filters).total == 1, "the bundle is in the catalogue")

    files = client.explore("files", {**filters, "fileFormat": ["fastq", "bam"]}, sort="fileSize")
    assert [(hit["files"][0]["size"], hit["bundles"][0]["bundleUuid"]) for hit in files] == [
        (10, uuid),
        (20, uuid),
    ]
    assert list(files.to_dataframe()["files.format"]) == ["fastq", "fastq"]
    assert files.facets("fileFormat", "genusSpecies") == {
        "fileFormat": {"fastq": 2},
        "genusSpecies": {"Danio rerio": 2},
    }
    assert files.summary()["totalFileSize"] == 30

    question = ["--filter", f"organ={organ}"]
    shown = dss_here(
        env, "explore", "files", *question, "--filter", "fileSize=15..", "--fields", "files.size", "--tsv"
    )
    assert (shown.out, shown.err) == ("files.size\n20\n", "")
    assert dss_here(env, "explore", "samples", *question, "--json").json["total"] == 1
    assert dss_here(env, "explore", "projects", *question, "-q", "invented title").out.count("\n") == 2
    assert "catalogue 'hca' has no 'donors'; it has" in dss_here(env, "explore", "donors").err
    unknown = dss_here(env, "explore", "files", "--filter", "organs=brain")
    assert "dss: 400 BadRequestError: Unknown field `organs`" in unknown.err
