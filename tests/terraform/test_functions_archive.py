"""What Cloud Functions builds holds all that the functions need, and loads by itself."""

import importlib
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from functions_framework._http.gunicorn import GunicornApplication

import functions.main
from tests.support.python_imports import LOCK_FILE, is_locked, is_ours, modules_imported
from tests.support.terraform_cli import ROOT, pack_functions

# Loads functions as Cloud Functions' start command does, and prints where our own modules came from. Python
# runs without its site module: else the checkout itself, installed for development, would be on the path.
LOAD = """
import sys
packages, unpacked, *names = sys.argv[1:]
sys.path.append(packages)
import functions_framework
for name in names:
    functions_framework.create_app(target=name, source=unpacked + "/main.py")
import functions, shared
print(functions.__file__, shared.__file__)
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("functions")
    pack_functions(directory / "functions.zip")
    with zipfile.ZipFile(directory / "functions.zip") as archive:
        archive.extractall(directory / "unpacked")
    return directory / "unpacked"


def test_every_function_loads_from_the_archive_alone(unpacked: Path) -> None:
    packages = sysconfig.get_path("purelib")

    done = subprocess.run(
        [sys.executable, "-B", "-I", "-S", "-c", LOAD, packages, unpacked, *functions.main.ENTRY_POINTS],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{unpacked}/functions/__init__.py", f"{unpacked}/shared/__init__.py"]


def test_all_that_is_imported_is_in_the_archive_or_is_installed(unpacked: Path) -> None:
    for path in unpacked.rglob("*.py"):
        for module in modules_imported(path.read_text()):
            assert is_locked(module), f"{path.name} imports {module}"
            assert is_ours(module, unpacked) or not is_ours(module, ROOT), f"{path.name} imports {module}"


def test_cloud_functions_installs_what_the_api_does_and_checks_every_hash(unpacked: Path) -> None:
    requirements = (unpacked / "requirements.txt").read_text()

    assert requirements == LOCK_FILE.read_text()
    # Cloud Functions adds one of its own choice where this is missing.
    assert re.search(r"^functions-framework==", requirements, re.MULTILINE)


def test_functions_run_on_the_python_that_the_api_runs_on() -> None:
    [runtime] = re.findall(r'runtime += "python(\d)(\d+)"', (ROOT / "terraform/functions.tf").read_text())
    dockerfile = (ROOT / "run/api/Dockerfile").read_text()

    assert set(re.findall(r"^FROM python:([\d.]+)-", dockerfile, re.MULTILINE)) == {".".join(runtime)}


def test_the_archive_holds_nothing_else(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {
        "functions", "main.py", "requirements.txt", "shared",
    }  # fmt: skip
    assert not [path for path in unpacked.rglob("*") if path.suffix == ".pyc"]


def test_the_same_sources_give_the_same_archive(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack_functions(tmp_path / name)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize(("threads", "limit"), [("4", 0), ("1", 60)])
def test_gunicorn_kills_no_worker_of_many_threads_for_having_idled(
    threads: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADS", threads)
    monkeypatch.setenv("CLOUD_RUN_TIMEOUT_SECONDS", "60")

    importlib.reload(functions.main)

    assert GunicornApplication(None, "127.0.0.1", 0, False).cfg.timeout == limit
