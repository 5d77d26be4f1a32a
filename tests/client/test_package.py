"""The client stands alone: it imports nothing of the service, and reads the environment in one place."""

import ast
from pathlib import Path

import pytest

from local.source_tree import ROOT

MODULES = sorted((ROOT / "client" / "dss").rglob("*.py"))


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_nothing_of_the_service(path: Path) -> None:
    assert imports(path) & {"shared", "run", "functions", "local", "tests"} == set()


def test_one_module_reads_the_environment() -> None:
    readers = [
        path.name for path in MODULES if "os.environ" in path.read_text() or "getenv" in path.read_text()
    ]

    assert readers == ["environment.py"]


def test_every_public_thing_has_a_docstring() -> None:
    silent = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                public = [node, *(child for child in node.body if isinstance(child, ast.FunctionDef))]
                silent += [f"{path.name}: {one.name}" for one in public if _lacks_docstring(one)]
    assert silent == []


def _lacks_docstring(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return not node.name.startswith("_") and not ast.get_docstring(node)
