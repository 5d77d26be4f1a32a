"""The plan of the house holds: who imports whom, how large a room may be, what a name says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("shared", "run", "functions", "local", "client")
MODULES = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
CLOUD_SDKS = ("google.cloud", "google.api_core", "google.auth", "google.oauth2", "boto3", "botocore")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importing(path: Path, *names: str) -> list[str]:
    return sorted(
        found
        for found in imports(path)
        if any(found == name or found.startswith(name + ".") for name in names)
    )


def of(folder: str) -> list[Path]:
    return [path for path in MODULES if path.is_relative_to(ROOT / folder)]


@pytest.mark.parametrize("path", of("shared"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_domain_knows_nothing_of_who_uses_it(path):
    assert importing(path, *PACKAGES[1:], "dss", "flask", "werkzeug", "functions_framework") == []


@pytest.mark.parametrize("path", of("shared"), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_stores_catalog_pubsub_and_wiring_know_a_cloud(path):
    relative = path.relative_to(ROOT / "shared")
    if relative.parts[:2] == ("search", "firestore") or relative.parts[0] in (
        *("stores", "catalog", "wiring.py", "pubsub.py", "executions.py"),
    ):
        return
    assert importing(path, *CLOUD_SDKS) == []


def test_stores_do_not_know_firestore_and_the_catalog_does_not_know_objects():
    for path in of("shared/stores"):
        assert importing(path, "google.cloud.firestore", "shared.catalog") == []
    for path in of("shared/catalog"):
        assert importing(path, "google.cloud.storage", "boto3", "botocore", "shared.stores") == []


def test_run_and_functions_do_not_know_each_other():
    for path in of("run"):
        assert importing(path, "functions", "local") == []
    for path in of("functions"):
        assert importing(path, "run") == []


def test_no_module_is_larger_than_a_room():
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in [*MODULES, *(ROOT / "tests").rglob("*.py")]
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert too_long == {}


def test_a_store_is_small_to_add():
    """docs/stores.md says so, of the one that it takes as its example."""
    assert len((ROOT / "shared" / "stores" / "posix" / "store.py").read_text().splitlines()) < 200


def test_every_name_of_a_module_says_something():
    empty = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [path for path in [*MODULES, *(ROOT / "tests").rglob("*.py")] if path.stem in empty] == []


def test_every_public_thing_of_the_domain_says_what_it_guarantees():
    silent = []
    for path in of("shared"):
        tree = ast.parse(path.read_text())
        for node in [tree, *ast.walk(tree)]:
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                name = getattr(node, "name", path.stem)
                public = not name.startswith("_") or isinstance(node, ast.Module)
                if public and not ast.get_docstring(node):
                    silent.append(f"{path.relative_to(ROOT)}: {name}")
    # Functions within functions are their function's business.
    assert [line for line in silent if line.split(": ")[1] not in NESTED] == []


NESTED = {
    inner.name
    for path in MODULES
    for outer in ast.walk(ast.parse(path.read_text()))
    if isinstance(outer, ast.FunctionDef)
    for inner in ast.walk(outer)
    if isinstance(inner, ast.FunctionDef) and inner is not outer
}
