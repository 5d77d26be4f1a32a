"""The image holds what the API and the functions need, and nothing else."""

import ast
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from functions.main import ENTRY_POINTS
from run.api.gateway import THREADS
from run.api.interfaces import INTERFACES
from run.api.openapi import read_document
from tests.support.dockerfile import copied, ignored, instructions
from tests.support.python_imports import LOCK_FILE, is_locked, is_ours, locked, modules_imported, normal
from tests.support.terraform_cli import ROOT
from tests.support.waiting import SLOWNESS

DOCKERFILE = ROOT / "run" / "api" / "Dockerfile"
IGNORE_FILE = ROOT / ".dockerignore"


def files_in_image() -> list[Path]:
    """The project's own files in the image."""
    sources = [ROOT / source for source in copied(DOCKERFILE)]
    files = [path for source in sources for path in ([source] if source.is_file() else source.rglob("*"))]
    return [path for path in files if path.is_file() and not ignored(relative(path), IGNORE_FILE)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    for source in copied(DOCKERFILE):
        assert (ROOT / source).exists(), source
        assert not ignored(source.rstrip("/"), IGNORE_FILE), source


@pytest.mark.parametrize(
    "name", ["local/gcs/gcs_server/server.py", "tests/a.py", ".git/config", "shared/__pycache__/a.pyc"]
)
def test_what_the_image_does_not_need_is_not_sent_to_the_builder(name: str) -> None:
    assert ignored(name, IGNORE_FILE)


def test_the_image_holds_every_module_of_ours_that_it_imports() -> None:
    modules = {relative(path) for path in files_in_image() if path.suffix == ".py"}
    assert "run/api/__init__.py" in modules

    for path in sorted(modules):
        for module in modules_imported((ROOT / path).read_text()):
            if is_ours(module, ROOT):
                file = module.replace(".", "/")
                assert {f"{file}.py", f"{file}/__init__.py"} & modules, f"{path} imports {module}"


def test_the_image_holds_every_interface_with_its_documents_and_templates() -> None:
    files = {relative(path) for path in files_in_image()}
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]

    for text in INTERFACES:
        module = text.partition(":")[0]
        package = module.rpartition(".")[0]
        assert f"{module.replace('.', '/')}.py" in files
        folder = package.replace(".", "/")
        beside = {
            relative(path)
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc")
        }
        assert beside == {
            relative(path) for name in data.get(package, ()) for path in (ROOT / folder).glob(name)
        }
        assert beside <= files


def test_the_image_installs_every_package_that_it_imports() -> None:
    for path in files_in_image():
        for module in modules_imported(path.read_text()) if path.suffix == ".py" else ():
            assert is_locked(module), f"{relative(path)} imports {module}"


def test_the_image_installs_nothing_that_only_checks_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dev = {normal(re.split(r"[\[<>=~!; ]", line)[0]) for line in project["optional-dependencies"]["dev"]}

    # pyfive needs fsspec, by which tests read, too.
    assert dev - {"dss"} and dev & locked() <= {"fsspec"}


def test_every_package_of_the_image_is_pinned_by_its_hash() -> None:
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^\s*#.*\n", "", LOCK_FILE.read_text(), flags=re.MULTILINE))

    for entry in entries:
        assert re.match(r"[\w.\[\],-]+==\S+", entry.strip()) and "--hash=sha256:" in entry, entry
    assert "://" not in LOCK_FILE.read_text()


def test_the_tool_that_builds_our_own_package_is_pinned_where_the_image_looks_for_it() -> None:
    [entry] = re.findall(
        r"^setuptools==.*?# via", (ROOT / "requirements.lock").read_text(), re.MULTILINE | re.DOTALL
    )

    assert "--hash=sha256:" in entry


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files of the image, and nothing else of the checkout."""
    directory = tmp_path_factory.mktemp("image")
    for path in files_in_image():
        target = directory / relative(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return directory


# Loads all functions as the command of Terraform does, and prints where our own modules came from. Python
# runs without its site module: else the checkout, installed for development, would be on the path.
LOAD = """
import sys
packages, root, *names = sys.argv[1:]
sys.path += [packages, root]
import functions_framework
for name in names:
    functions_framework.create_app(target=name, source=root + "/functions/main.py")
import functions.push, shared
print(functions.__file__, shared.__file__)
"""


def test_every_function_loads_from_the_image_alone(installed: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-I", "-S", "-c", LOAD),
            *(sysconfig.get_path("purelib"), str(installed), *ENTRY_POINTS),
        ],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=SLOWNESS * 60,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{installed}/functions/__init__.py", f"{installed}/shared/__init__.py"]


def test_the_image_says_where_the_source_of_functions_is() -> None:
    [environment] = [arguments for name, arguments in instructions(DOCKERFILE) if name == "ENV"]
    [source] = re.findall(r"FUNCTION_SOURCE=(\S+)", environment)
    [python] = set(re.findall(r"^ARG BASE=python:([\d.]+)-", DOCKERFILE.read_text(), re.MULTILINE))

    # gunicorn's control socket, which functions-framework does not switch off, and its user has no home.
    assert "XDG_RUNTIME_DIR=/tmp" in environment.split()
    # Where pip puts the packages of the wheel.
    assert source == f"/venv/lib/python{python}/site-packages/functions/main.py"
    assert "functions" in {module.partition("/")[0] for module in map(relative, files_in_image())}
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    others = {path.name for path in (ROOT / "functions").iterdir() if path.suffix not in (".py", "")}
    assert set(data["functions"]) == others


def test_all_stages_are_built_on_the_base_that_a_build_may_name_by_digest() -> None:
    build = next(step for step in read_document(ROOT / "cloudbuild.yaml")["steps"] if step["id"] == "build")
    default = read_document(ROOT / "cloudbuild.yaml")["substitutions"]["_BASE"]
    rows = instructions(DOCKERFILE)
    first = rows.index(next(row for row in rows if row[0] == "FROM"))

    assert {arguments.partition(" ")[0] for name, arguments in rows if name == "FROM"} == {"${BASE}"}
    # Before the first stage, so that it counts in all of them.
    assert ("ARG", f"BASE={default}") in rows[:first]
    assert "--build-arg=BASE=${_BASE}" in build["args"]


def test_the_image_does_not_run_as_root() -> None:
    [user] = [arguments for name, arguments in instructions(DOCKERFILE) if name == "USER"]

    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", user)


def test_the_image_starts_an_application_that_exists() -> None:
    module, _, name = command()[-1].partition(":")
    source = ast.parse(ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text())

    targets = [target for node in source.body if isinstance(node, ast.Assign) for target in node.targets]
    assert name in [target.id for target in targets if isinstance(target, ast.Name)]


def test_cloud_run_sends_as_many_requests_as_there_are_threads() -> None:
    options = dict(option[2:].split("=") for option in command() if "=" in option)
    concurrency = re.search(
        r"max_instance_request_concurrency = (\d+)", (ROOT / "terraform/api.tf").read_text()
    )

    assert concurrency and int(concurrency[1]) == THREADS * int(options["workers"])


def command() -> list[str]:
    # In the exec form: gunicorn itself gets SIGTERM, no shell does.
    [arguments] = [arguments for name, arguments in instructions(DOCKERFILE) if name == "CMD"]
    parsed: list[str] = json.loads(arguments)
    return parsed
