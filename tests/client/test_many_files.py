"""10,000 files go up and come down; `make test-large` prints how long it takes."""

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.clouds import REPLICAS
from tests.support.command_line import DSS, environment

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

    def run(*arguments: object) -> Any:
        command = [*DSS, *map(str, arguments), "--json"]
        began = time.monotonic()
        done = subprocess.run(command, env=environment(env), stdout=subprocess.PIPE, check=True, timeout=3600)
        seconds = time.monotonic() - began
        print(f"\n{replica} {arguments[0]}: {seconds:.1f} s, {FILES / seconds:,.0f} files/s", flush=True)
        return json.loads(done.stdout)

    first, again = run("upload", data), run("upload", data)
    fetched = run("download", first["uuid"], "--to", copy)
    there = run("download", first["uuid"], "--to", copy)

    assert (first["put"], again["put"], again["already_there"]) == (FILES, 0, True)
    assert (fetched["downloaded"], there["downloaded"], there["skipped"]) == (FILES, 0, FILES)
    subprocess.run(["diff", "--recursive", "--brief", str(data), str(copy)], check=True)
