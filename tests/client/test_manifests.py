"""`dss manifest` waits for what the DSS makes, and saves it whole, even if something breaks on the way."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from dss.api.explore import Catalogue
from dss.client import Client
from dss.errors import CallFailed, InvalidInput, NoCatalogue, NotADss, OperationFailed
from tests.support.command_line import dss_here
from tests.support.fake_catalogue import FakeCatalogue, file_hit
from tests.support.fake_dss import FakeDss, Fault, HeldClock

CONTENT = b"file_uuid\tfile_name\r\n" * 200_000


class FakeManifests:
    """Makes a manifest in a few steps, and remembers what was asked; `fails` are answers in its place."""

    def __init__(self, fake: FakeDss, steps: int) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.fails: list[int] = []
        self.steps = steps
        self._fake = fake

    def __call__(self, token: str, params: dict[str, str]) -> tuple[int, Any]:
        self.asked.append((token, params))
        step = int(token.partition("-")[2] or 0) + 1
        if token and self.fails:
            status = self.fails.pop(0)
            return status, {"Code": "InternalServerError", "Message": "The manifest could not be made: why"}
        if params.get("format") == "nope":
            return 400, {"Code": "BadRequestError", "Message": "Unknown manifest format 'nope'"}
        if step > self.steps:
            commands = {"bash": "curl it"}
            return 200, {"Status": 302, "Location": self._fake.signed("it"), "CommandLine": commands}
        # As behind a proxy: the DSS knows itself by another name.
        location = f"https://dss.invalid/fetch/manifest/files/t-{step}"
        progress = {"files": 50, "filesDone": 10 * step}
        return 200, {"Status": 301, "Location": location, "Retry-After": step, "Progress": progress}


@pytest.fixture
def made(fake: FakeDss) -> FakeManifests:
    fake.catalogue = FakeCatalogue([file_hit(1)])
    fake.names = {"it": CONTENT}
    fake.manifests = FakeManifests(fake, 3)
    return fake.manifests


@pytest.fixture
def env(fake: FakeDss, made: FakeManifests) -> dict[str, str]:
    assert fake.manifests is made
    made.steps = 0
    return {"DSS_URL": fake.url, "DSS_TOKEN": "a.token"}


def test_a_manifest_is_asked_for_when_it_is_needed_and_waited_for_as_the_dss_says(
    client: Client, made: FakeManifests, clock: HeldClock, fake: FakeDss, tmp_path: Path
) -> None:
    manifest = client.manifest({"organ": ["brain", None]}, format="full", words="cortex")
    assert (made.asked, "not asked for yet" in repr(manifest)) == ([], True)

    assert manifest.save(tmp_path / "it.tsv").read_bytes() == CONTENT

    assert [token for token, _ in made.asked] == ["", "t-1", "t-2", "t-3"]
    params = made.asked[0][1]
    assert json.loads(params.pop("filters")) == {"organ": {"is": ["brain", None]}}
    assert params == {"catalog": "hca", "format": "full", "q": "cortex"}
    assert clock.slept == [1, 2, 3]
    assert (manifest.link, manifest.commands) == (fake.signed("it"), {"bash": "curl it"})
    assert pickle.loads(pickle.dumps(manifest)).link == manifest.link
    assert [request.headers.get("Authorization") for request in fake.requests("GET", "/blob")] == [None, None]


def test_how_many_files_are_done_is_shown(client: Client, made: FakeManifests) -> None:
    from dss.progress import Progress

    seen: list[tuple[int, int | None]] = []

    class Watched(Progress):
        def phase(self, name: str, **options: Any) -> Any:
            found = super().phase(name, **options)
            original = found.reach

            def reach(items: int, status: str = "") -> None:
                original(items, status)
                seen.append((items, found.items))

            found.reach = reach  # type: ignore[method-assign]
            return found

    client.manifest().wait(progress=Watched(quiet=True))

    assert seen == [(10, 50), (20, 50), (30, 50), (50, 50)]
    assert len(made.asked) == 4


@pytest.mark.parametrize("status", [410, 500])
def test_a_job_that_failed_or_is_forgotten_is_started_once_more(
    client: Client, made: FakeManifests, status: int
) -> None:
    made.fails = [status]

    assert client.manifest().wait().link
    assert [token for token, _ in made.asked] == ["", "t-1", "", "t-1", "t-2", "t-3"]


def test_a_job_that_fails_again_is_an_error_with_its_reason(client: Client, made: FakeManifests) -> None:
    made.fails = [500, 500]

    with pytest.raises(
        OperationFailed, match=r"the DSS can't make the manifest: 500 .*could not be made: why"
    ):
        client.manifest().wait()


def test_waiting_ends(client: Client, made: FakeManifests) -> None:
    made.steps = 10**6

    with pytest.raises(OperationFailed, match="not made after 100 s"):
        client.manifest().wait(seconds=100)


def test_what_is_refused_leaves_no_file(client: Client, made: FakeManifests, tmp_path: Path) -> None:
    with pytest.raises(CallFailed, match="400 BadRequestError: Unknown manifest format 'nope'"):
        client.manifest(format="nope").save(tmp_path / "x")
    with pytest.raises(NoCatalogue, match="there is no catalogue 'hac'"):
        client.manifest(catalog="hac").save(tmp_path / "x")
    assert not list(tmp_path.glob("*x*")) and len(made.asked) == 1


def test_another_server_is_no_dss(client: Client, fake: FakeDss, made: FakeManifests) -> None:
    fake.fault("PUT", "/fetch/manifest/files", Fault(status=200, body={"status": "ok"}))

    with pytest.raises(NotADss, match="without 'Location'"):
        client.manifest().wait()
    assert made.asked == []


def test_a_connection_that_breaks_is_resumed_and_a_link_that_expires_is_renewed(
    client: Client, fake: FakeDss, made: FakeManifests, tmp_path: Path
) -> None:
    fake.fault(
        "GET", "/blob/0", Fault(status=503), Fault(), Fault(cut_after=1000), Fault(cut_after=5, expire=True)
    )

    assert client.manifest().save(tmp_path / "x").read_bytes() == CONTENT

    ranges = [request.headers.get("Range") for request in fake.requests("GET", "/blob")]
    last = len(CONTENT) - 1
    assert ranges == [None, None, None, f"bytes=1000-{last}", f"bytes=1000-{last}"]
    assert [token for token, _ in made.asked].count("") == 2


def test_a_file_that_is_there_stays_until_the_manifest_is_whole(
    client: Client, fake: FakeDss, made: FakeManifests, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"before")
    fake.fault("GET", "/blob/0", Fault(), Fault(cut_after=1000), Fault(status=404))

    with pytest.raises(CallFailed):
        client.manifest().save(tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == b"before"
    assert not list(tmp_path.glob(".dss*")) and made.asked


def test_the_command_saves_under_the_name_of_the_catalogue(
    env: dict[str, str], made: FakeManifests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    shown = dss_here(env, "manifest", "--filter", "organ=brain|null", "-q", "cortex")
    as_json = dss_here(env, "manifest", "--format", "curl", "--output", "mine", "--json").json

    assert shown.out == f"hca.tsv: {len(CONTENT):,} bytes\n"
    assert (tmp_path / "hca.tsv").read_bytes() == (tmp_path / "mine").read_bytes() == CONTENT
    assert json.loads(made.asked[0][1]["filters"]) == {"organ": {"is": ["brain", None]}}
    link = as_json.pop("link")
    assert "/blob/0?sig=0" in link
    assert as_json == {
        "catalog": "hca",
        "format": "curl",
        "commands": {"bash": "curl it"},
        "output": "mine",
        "bytes": len(CONTENT),
    }


def test_the_command_prints_a_link_or_the_manifest(env: dict[str, str], fake: FakeDss) -> None:
    assert dss_here(env, "manifest", "--link").out == f"{fake.signed('it')}\n"
    assert dss_here(env, "manifest", "--output", "-").out.encode() == CONTENT
    assert dss_here(env, "manifest", "--link", "--json").json["link"] == fake.signed("it")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--link", "--output", "x"], "--link and --output: give one of them"),
        (["--json", "--output", "-"], "can't both go to stdout"),
        (["--filter", "organ"], "the filter 'organ' is not FIELD=VALUE"),
        (["--format", "nope"], "400 BadRequestError: Unknown manifest format 'nope'"),
    ],
)
def test_a_command_line_that_is_wrong_says_what(env: dict[str, str], words: list[str], why: str) -> None:
    outcome = dss_here(env, "manifest", *words)

    assert (outcome.code, why in outcome.err) == (1, True), outcome.err


@pytest.mark.usefixtures("made")
def test_names_end_as_their_formats(client: Client) -> None:
    assert isinstance(client.manifest().catalogue, Catalogue)
    assert [client.manifest(format=each).name for each in ("compact", "terra.bdbag", "newer")] == [
        "hca.tsv",
        "hca.zip",
        "hca.manifest",
    ]
    with pytest.raises(InvalidInput):
        client.manifest(catalog="none").name  # noqa: B018
