"""What Python sources import, and whether a deployment has it: modules of ours, and packages it installs."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.support.terraform_cli import ROOT

LOCK_FILE = ROOT / "requirements-service.lock"
OURS = ("run", "shared", "functions", "tests")


def modules_imported(source: str) -> set[str]:
    """The modules that a source imports, also the names it imports from packages."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_ours(module: str, root: Path) -> bool:
    """Tell whether this is a module of ours under a directory, and no name in one."""
    path = root.joinpath(*module.split("."))
    return module.split(".")[0] in OURS and (
        path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    )


def is_locked(module: str) -> bool:
    """Tell whether a module is ours, Python's, or of a package that the lock file pins."""
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
    """The packages of the lock file."""
    names = re.findall(r"^([\w.-]+)(?:\[.*\])?==", LOCK_FILE.read_text(), re.MULTILINE)
    return {normal(name) for name in names}


def normal(name: str) -> str:
    """A package's name in the form in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()
