"""A function imports what it needs and no more: a cold start lasts as long as its imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from functions.main import ENTRY_POINTS
from tests.support.python_imports import OURS
from tests.support.terraform_cli import ROOT

# What no function imports as it starts: packages of ours, and of others that take long to load.
_NOBODY = (
    "run",
    "pyarrow",
    "fastavro",
    "psycopg",
    "jinja2",
    # Whose clients are opened when they are first used: not every instance publishes, or reads objects.
    "boto3",
    "botocore",
    "google.cloud.pubsub",
    "google.cloud.storage",
    "google.cloud.workflows",
    "opentelemetry.sdk",
    "shared.search.postgresql",
    "shared.explore.postgresql",
)
_PUSHED = ("shared.imports", "shared.jobs", "shared.webhooks", "jmespath")
_STEPS = ("shared.kinds", "shared.webhooks", "functions.push", "jmespath")
_DOMAIN = (
    *("shared.checkouts", "shared.copying", "shared.imports", "shared.jobs", "shared.kinds"),
    *("shared.maintenance", "shared.purges"),
)
# Beside that. `sweep` resumes the work of all others.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    # A rebuild restores subscriptions, too.
    "administer": (
        *("shared.imports", "shared.webhooks.notifications", "shared.webhooks.evaluation"),
        *("functions.push", "jmespath"),
    ),
    "checkout": (*_STEPS, "shared.imports", "shared.jobs"),
    "compact": (*_DOMAIN, "shared.webhooks.subscriptions", "shared.webhooks.notifications", "jmespath"),
    "copy": (*_STEPS, "shared.imports", "shared.jobs"),
    "deliver": (*_DOMAIN, "shared.events", "jmespath"),
    "explore": (*_DOMAIN, "shared.webhooks"),
    "importer": ("shared.kinds", "shared.maintenance", "functions.push"),
    "index": _PUSHED,
    "manifest": (*_DOMAIN, "shared.webhooks", "functions.push"),
    "notify": (*_DOMAIN, "smtplib"),
    "redeliver": (*_DOMAIN, "shared.events", "jmespath"),
    "s3_events": (*_DOMAIN, "shared.events", "shared.webhooks", "jmespath"),
    "sweep": ("jmespath",),
    "sync": _PUSHED,
}


def test_every_function_has_a_row() -> None:
    assert set(FORBIDDEN) == set(ENTRY_POINTS)


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS))
def test_a_function_imports_its_own_and_no_more(name: str) -> None:
    imported = imported_at_start(ENTRY_POINTS[name])
    others = set(ENTRY_POINTS.values()) - {ENTRY_POINTS[name]}

    assert ENTRY_POINTS[name] in imported
    for forbidden in (*_NOBODY, *FORBIDDEN[name], *others):
        found = {module for module in imported if is_within(module, forbidden)}
        assert not found, f"{name} imports {sorted(found)}"


def test_functions_framework_loads_the_one_function_that_it_serves() -> None:
    source = ROOT / "functions" / "main.py"
    # With no settings: loading reads none and opens nothing.
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-c"),
            "import functions_framework, sys\n"
            f"functions_framework.create_app('s3_events', {str(source)!r}, 'http')\n"
            "print(*(name for name in sys.modules if name.startswith('functions.')))",
        ],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & set(ENTRY_POINTS.values()) == {"functions.s3_events"}


def is_within(module: str, package: str) -> bool:
    """Return whether this is the package, or in it."""
    return module == package or module.startswith(f"{package}.")


def imported_at_start(module: str) -> set[str]:
    """Return our modules that importing one imports, itself among them, and what these import of others."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        parts = waiting.pop().split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            if name not in found and (parts[0] not in OURS or source_of(name)):
                found.add(name)
                waiting += at_top(name)
    return found


@cache
def at_top(module: str) -> tuple[str, ...]:
    """Return what a module of ours imports as it is imported, and not later, in a function."""
    path = source_of(module)
    return tuple(_statements(ast.parse(path.read_text()).body)) if path else ()


def _statements(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If | ast.Try | ast.With) and "TYPE_CHECKING" not in ast.unparse(node)[:30]:
            yield from _statements(
                [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            )


@cache
def source_of(module: str) -> Path | None:
    """Return the file of a module, if it is one of ours."""
    path = ROOT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if module.split(".")[0] in OURS and file.is_file()), None)
