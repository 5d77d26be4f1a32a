"""The imports of Python sources, and whether a deployment has the modules and packages."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.support.terraform_cli import ROOT

LOCK_FILE = ROOT / "requirements-service.lock"
OURS = ("run", "shared", "functions", "tests")


@cache
def modules_imported(source: str) -> frozenset[str]:
    """Return the modules that a source imports, and the names that it imports from packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def is_ours(module: str, root: Path) -> bool:
    """Return whether this is a module of this project under a directory, and not a name in one."""
    path = root.joinpath(*module.split("."))
    return module.split(".")[0] in OURS and (
        path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    )


def is_locked(module: str) -> bool:
    """Return whether a module is of this project, of Python, or of a package in the lock file."""
    top = module.split(".")[0]
    # Stubs are for type checkers only.
    if top in sys.stdlib_module_names or top in OURS or top.startswith("mypy_boto3"):
        return True
    return bool({normal(name) for name in _distributions().get(top, ())} & locked())


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


@cache
def locked() -> set[str]:
    """Return the packages of the lock file."""
    names = re.findall(r"^([\w.-]+)(?:\[.*\])?==", LOCK_FILE.read_text(), re.MULTILINE)
    return {normal(name) for name in names}


def normal(name: str) -> str:
    """Return the normalized name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()
