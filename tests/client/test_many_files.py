"""10,000 files go up and come down; `make test-large` prints how long it takes."""

import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.clouds import REPLICAS
from tests.support.command_line import Outcome, dss

FILES = 10_000
BYTES = 2048
DIRECTORIES = 100


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory, content = tmp_path_factory.mktemp("many"), random.Random(13)
    for number in range(FILES):
        path = directory / f"{number % DIRECTORIES:02d}" / f"{number:05d}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.randbytes(BYTES))
    return directory


@pytest.mark.large
@pytest.mark.parametrize("replica", REPLICAS)
def test_ten_thousand_files_go_up_and_come_down(
    stack: dict[str, str], data: Path, replica: str, tmp_path: Path
) -> None:
    env = {**stack, "XDG_CACHE_HOME": str(tmp_path / "cache"), "DSS_REPLICA": replica}
    copy = tmp_path / "copy"

    def run(*arguments: object) -> Outcome:
        began = time.monotonic()
        outcome = dss(env, *arguments, "--json")
        seconds = time.monotonic() - began
        assert outcome.code == 0, outcome.err
        print(f"\n{replica} {arguments[0]}: {seconds:.1f} s, {FILES / seconds:,.0f} files/s", flush=True)
        return outcome

    first, again = run("upload", data).json, run("upload", data).json
    fetched = run("download", first["uuid"], "--to", copy).json
    there = run("download", first["uuid"], "--to", copy).json

    assert (first["put"], again["put"], again["already_there"]) == (FILES, 0, True)
    assert (fetched["downloaded"], there["downloaded"], there["skipped"]) == (FILES, 0, FILES)
    subprocess.run(["diff", "--recursive", "--brief", str(data), str(copy)], check=True)
