"""The GCS server and the workflows server are packages of their own: their READMEs run without the rest."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from local.supervisor.ports import Ports

ROOT = Path(__file__).parents[2]
PACKAGES = {"gcs": "gcs_server", "workflows": "workflows_server"}
# Modules whose distribution has another name than the one that is declared: it is a dependency of that one.
WITHIN = {"google-api-core": "google-cloud-workflows", "protobuf": "google-cloud-workflows"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(folder: str) -> set[str]:
    """Return the distributions that the package declares as dependencies."""
    project = tomllib.loads((ROOT / "local" / folder / "pyproject.toml").read_text())["project"]
    return {normal(re.split(r"[<>=\[]", line)[0]) for line in project["dependencies"]}


def imported(folder: str) -> dict[str, set[str]]:
    """Return the modules that the package imports, by the name of their first part."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "local" / folder / PACKAGES[folder]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(name)
    return found


@pytest.mark.parametrize("folder", PACKAGES)
def test_it_imports_only_itself_python_and_what_it_declares(folder):
    distributions = packages_distributions()
    others = imported(folder).keys() - sys.stdlib_module_names - {PACKAGES[folder]}

    def is_declared(module: str) -> bool:
        names = map(normal, distributions.get(module, [module]))
        return any(WITHIN.get(name, name) in declared(folder) for name in names)

    undeclared = [module for module in others if not is_declared(module)]

    assert undeclared == []
    assert others & {"local", "shared", "run", "functions", "dss", "tests"} == set()


def script_of(page: Path) -> str:
    """Return the README's blocks as one script, without the installation."""
    parts = ["set -euo pipefail"]
    for language, block in BLOCK.findall(page.read_text()):
        if language == "sh" and not block.startswith("pip install"):
            parts.append(block)
        elif language == "python":
            parts.append(f"python - <<'END_OF_BLOCK'\n{block}END_OF_BLOCK")
    return "\n".join(parts)


@pytest.fixture
def empty_environment(tmp_path):
    """Return a function that makes a virtual environment which has one package, and its dependencies.

    The dependencies are those of this environment, so that the test needs no package registry. Packages of
    this checkout are not among them: a path in a .pth file is searched, and its own .pth files are not.
    """

    def make(folder: str) -> Path:
        venv = tmp_path / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
        [site] = venv.glob("lib/python*/site-packages")
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run(
            (
                *(sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet"),
                *("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"),
                str(source_of(folder, tmp_path)),
            ),
            check=True,
            timeout=200,
            env={**os.environ, "PYTHONPATH": ""},
        )
        assert not importable("local", venv)
        assert importable(PACKAGES[folder], venv)
        return venv

    return make


def importable(module: str, venv: Path) -> bool:
    """Return whether the environment has a module."""
    code = f"import importlib.util as util, sys; sys.exit(not util.find_spec('{module}'))"
    return (
        subprocess.run([venv / "bin" / "python", "-I", "-c", code], timeout=60, check=False).returncode == 0
    )


def source_of(folder: str, directory: Path) -> Path:
    """Return a copy of the package's source: a build writes into it."""
    copy = directory / "source"
    subprocess.run(["cp", "-r", ROOT / "local" / folder, copy], check=True)
    return copy


@pytest.mark.parametrize(
    ("folder", "printed"), [("gcs", "gs://my-bucket/copy.txt"), ("workflows", 'SUCCEEDED "hello, you"')]
)
def test_its_readme_runs_in_an_environment_of_its_own(folder, printed, empty_environment, tmp_path):
    venv = empty_environment(folder)
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DSS_", "PYTHON", "CLOUDSDK_")) and not name.endswith("_EMULATOR_HOST")
    }
    page = script_of(ROOT / "local" / folder / "README.md")
    ports = Ports()
    for number in ("9710", "9711"):
        page = page.replace(number, str(ports.of(number)))
    (tmp_path / "work").mkdir()

    done = subprocess.run(
        ["bash", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{page}"],
        cwd=tmp_path / "work",
        env={**clean, "PATH": f"{venv / 'bin'}:{clean['PATH']}", "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    ports.release()
    assert done.returncode == 0, done.stdout + done.stderr
    assert printed in done.stdout
