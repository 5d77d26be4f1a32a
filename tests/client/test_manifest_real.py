"""What is uploaded, found and listed by a manifest comes down by it, against the whole system."""

import io
import json
import os
import random
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dss.client import Client
from dss.manifests.making import FORMATS as NAMED_HERE
from local.api import api_process
from shared.explore.manifests.formats import FORMATS
from tests.support.api import Api, new_uuid, now
from tests.support.command_line import dss_here
from tests.support.hca_sample import sequenced
from tests.support.waiting import wait_until

MIB = 1024 * 1024
# PFBs for Terra name no bundles.
_WITHOUT_BUNDLES = {"terra.pfb"}


@dataclass(frozen=True)
class Upload:
    """A bundle that is in the catalogue, alone with its organ; `data` are its files but for the metadata."""

    fqid: str
    organ: str
    data: dict[str, bytes]


@pytest.fixture(scope="module")
def env(whole_system: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("cache")
    return {**whole_system, "XDG_CACHE_HOME": str(cache)}


@pytest.fixture(scope="module")
def upload(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Upload:
    return uploaded(env, tmp_path_factory.mktemp("data"), lambda name, size: name[:1].encode() * size)


def uploaded(env: dict[str, str], directory: Path, content: Callable[[str, int], bytes]) -> Upload:
    """Upload a bundle whose data files have some content, of their names and sizes, until it is found."""
    organ = f"organ {new_uuid()}"
    bundle = sequenced(f"m{now()[:19]}", organ=organ, project=new_uuid(), specimen=new_uuid())
    data = {file["name"]: content(file["name"], file["size"]) for file in bundle.files}
    for name, document in bundle.documents.items():
        (directory / name).write_text(json.dumps(document))
    for name, written in data.items():
        (directory / name).write_bytes(written)
    report = dss_here(env, "upload", directory, "--json").json
    client = Client(env["DSS_URL"], env["DSS_TOKEN"])
    wait_until(
        lambda: client.explore("files", {"organ": organ}).total == len(data), "they are in the catalogue"
    )
    return Upload(f"{report['uuid']}.{report['version']}", organ, data)


def test_the_client_names_the_formats_of_the_dss() -> None:
    assert FORMATS.keys() <= NAMED_HERE.keys()


@pytest.mark.parametrize("form", FORMATS)
def test_a_manifest_of_each_format_is_made_and_downloaded_by(
    env: dict[str, str], upload: Upload, tmp_path: Path, form: str
) -> None:
    output, copy = tmp_path / "manifest", tmp_path / "copy"

    saved = dss_here(
        env, "manifest", "-f", f"organ={upload.organ}", "--format", form, "--output", output, "--json"
    )
    done = dss_here(env, "download", "--manifest", output, "--to", copy, "--json")

    assert (saved.code, saved.json["bytes"]) == (0, output.stat().st_size), saved.err
    assert (done.code, done.json["failed"], done.json["downloaded"]) == (0, [], 2), done
    found = {path.name: path for path in copy.rglob("*") if path.is_file() and path.name != "downloaded.tsv"}
    assert {name: path.read_bytes() for name, path in found.items()} == upload.data
    folder = upload.fqid.partition(".")[0] if form == "curl" else upload.fqid
    if form not in _WITHOUT_BUNDLES:
        assert {str(path.parent.relative_to(copy)) for path in found.values()} == {folder}
    again = dss_here(env, "download", "--manifest", output, "--to", copy, "--json").json
    assert (again["downloaded"], again["skipped"]) == (0, 2)


def test_a_link_is_downloaded_by_and_one_for_curl_fetches_by_curl(
    env: dict[str, str], upload: Upload, tmp_path: Path
) -> None:
    question = ["manifest", "-f", f"organ={upload.organ}", "--link"]
    link = dss_here(env, *question).out.strip()
    for_curl = dss_here(env, *question, "--format", "curl", "--json").json

    assert (
        dss_here(env, "download", "--manifest", link, "--to", tmp_path / "a", "--json").json["downloaded"]
        == 2
    )
    by_key = dss_here(env, "download", "--manifest", for_curl["link"], "--to", tmp_path / "b", "--json").json
    assert by_key["downloaded"] == 2
    subprocess.run(
        ["bash", "-c", for_curl["commands"]["bash"]], cwd=tmp_path, check=True, capture_output=True
    )
    bundle = upload.fqid.partition(".")[0]
    assert {path.name: path.read_bytes() for path in (tmp_path / bundle).iterdir()} == upload.data


def test_curl_that_is_killed_goes_on_where_it_was(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    upload = uploaded(env, tmp_path / "source", lambda *_: random.randbytes(12 * MIB))
    question = ["manifest", "-f", f"organ={upload.organ}", "--link", "--format", "curl", "--json"]
    command = dss_here(env, *question).json["commands"]["bash"]
    folder = tmp_path / "copy" / upload.fqid.partition(".")[0]
    folder.parent.mkdir()

    def sizes() -> list[int]:
        return [path.stat().st_size for path in folder.glob("*")]

    def start(option: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", command.replace("--config", f"{option} --config")],
            cwd=folder.parent,
            start_new_session=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    with start("--silent --limit-rate 1M") as first:
        wait_until(lambda: sum(sizes()) > MIB, "some of it is there")
        os.killpg(first.pid, signal.SIGKILL)
    # A second of the twelve that a file takes at this rate.
    [size] = sizes()
    assert MIB < size < 12 * MIB
    with start("--silent --verbose") as second:
        _, said = second.communicate(timeout=120)

    assert second.returncode == 0, said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == upload.data
    # It asks for the rest of the one, and for all of the other.
    assert re.findall(r"(?i)^< content-range: bytes (\d+)-", said, re.MULTILINE) == [str(size)]
    assert len(re.findall("^< HTTP/1.1 200", said, re.MULTILINE)) == 1


def test_curl_that_is_refused_for_a_while_waits_and_gets_all(
    env: dict[str, str], upload: Upload, tmp_path: Path
) -> None:
    # A file costs 2 units, of which there is one a second.
    few = {"DSS_UNLIMITED_NETWORKS": None, "DSS_ADDRESS_UNITS": "60", "DSS_PRINCIPAL_UNITS": "60"}
    with api_process(env, few) as process:
        question = ["manifest", "-f", f"organ={upload.organ}", "--link", "--format", "curl", "--json"]
        command = dss_here(env, *question).json["commands"]["bash"]
        config = tmp_path / "limited.curlrc"
        found = subprocess.run(
            ["bash", "-c", command.partition("|")[0]], check=True, capture_output=True, text=True
        )
        config.write_text(found.stdout.replace(env["DSS_URL"], process.url))
        limited = Api(process.url)
        wait_until(
            lambda: limited.get("/v1/bundles/all", replica="gcp").status_code == 429, "the units are used up"
        )

        done = subprocess.run(
            ["bash", "-c", f"{command.partition('|')[2]} < {shlex.quote(str(config))}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )

    assert "429" in done.stderr
    folder = tmp_path / upload.fqid.partition(".")[0]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == upload.data


def test_a_selection_of_nothing_is_a_manifest_of_nothing(env: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "none.tsv"

    assert dss_here(env, "manifest", "-f", f"organ={new_uuid()}", "--output", output).code == 0
    outcome = dss_here(env, "download", "--manifest", output)

    assert (outcome.code, outcome.err) == (1, "dss: the manifest names no files\n")


def test_the_dss_refuses_what_it_does_not_know(env: dict[str, str]) -> None:
    outcome = dss_here(env, "manifest", "--format", "excel", "--link")

    assert (outcome.code, "400 BadRequestError: Unknown manifest format 'excel'" in outcome.err) == (1, True)


def test_a_program_does_the_same_in_memory(env: dict[str, str], upload: Upload, tmp_path: Path) -> None:
    client = Client(env["DSS_URL"], env["DSS_TOKEN"])
    stream = io.BytesIO()

    assert client.manifest({"organ": upload.organ}).write(stream) == len(stream.getvalue())
    report = client.download_manifest(io.BytesIO(stream.getvalue()), to=tmp_path, names="*")

    assert (report.ok, report.files) == (True, 2)
    assert {name: (tmp_path / upload.fqid / name).read_bytes() for name in upload.data} == upload.data
