"""The code has the shape that docs/architecture.md describes: its tables of imports are checked here."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from dss.api import session
from run.api.contract import Contract
from shared.api_path import API_PATH

ROOT = Path(__file__).parents[1]
FOLDERS = ("shared", "run", "functions", "client", "local")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# Where the packages are that are imported by another name than that of their folder.
PLACES = {
    "client/dss": "dss",
    "local/gcs/gcs_server": "gcs_server",
    "local/workflows/workflows_server": "workflows_server",
}


def named(path: Path) -> str:
    """Return the path of a module as docs name it."""
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Facts:
    """What the tests ask of a module: what it imports, its constants, and which names lack a docstring."""

    imports: frozenset[str]
    texts: tuple[str, ...]
    undocumented: tuple[str, ...]


@cache
def facts_of(path: Path) -> Facts:
    """Return the facts of a module, which is parsed once; to keep all trees costs more than to parse them."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    return Facts(
        frozenset(imports(nodes, named(path))),
        tuple(str(node.value) for node in nodes if isinstance(node, ast.Constant)),
        tuple(undocumented(tree, named(path))),
    )


def imports(nodes: list[ast.AST], module: str) -> Iterator[str]:
    """Yield all that a module imports, within functions too, by full names."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import, which these tests do not understand"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importing(path: Path, *names: str) -> list[str]:
    """Return what a module imports of the packages or modules with these names."""
    return sorted(
        found
        for found in facts_of(path).imports
        if any(found == name or found.startswith(f"{name}.") for name in names)
    )


def table(heading: str) -> list[tuple[list[str], list[str]]]:
    """Return the rows of a table of docs/architecture.md: the names in each of its two cells."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    [body] = re.findall(rf"^\| {heading} \|.*\n\| --- \| --- \|\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [line.strip("|").split("|") for line in body.splitlines()]
    return [(re.findall(r"`(.+?)`", first), re.findall(r"`(.+?)`", second)) for first, second in rows]


@cache
def modules_of(place: str) -> frozenset[Path]:
    """Return the modules at a place that a table names: in a folder, in a folder itself, or one alone."""
    if "*" in place:
        found = list(ROOT.glob(place))
    elif place.endswith("/"):
        found = [path for path in MODULES if path.is_relative_to(ROOT / place)]
    else:
        found = [ROOT / place]
    assert found and all(path.is_file() for path in found), f"docs/architecture.md: {place} does not exist"
    return frozenset(found)


def package_of(place: str) -> str:
    """Return the name by which the package at a place is imported."""
    folder = place.rstrip("/")
    return PLACES.get(folder, folder.replace("/", ".").removesuffix(".py"))


def test_packages_import_only_the_packages_below_them():
    rows = {place: allowed for [place], allowed in table("package")}
    assert len(rows) >= 7
    wrong = {}
    for path in MODULES:
        # A module belongs to the innermost package around it; those between packages import none.
        place = max((place for place in rows if path in modules_of(place)), key=len, default="")
        others = set(rows) - {place, *rows.get(place, ())}
        if unwanted := importing(path, *map(package_of, others)):
            wrong[named(path)] = unwanted
    assert wrong == {}


def test_each_sdk_is_imported_where_the_table_says():
    rows = table("SDK")
    assert len(rows) >= 6
    wrong = {}
    for sdks, places in rows:
        allowed = {path for place in places for path in modules_of(place)}
        for path in set(MODULES) - allowed:
            if unwanted := importing(path, *sdks):
                wrong[named(path)] = unwanted
        for place in places:
            assert any(importing(path, *sdks) for path in modules_of(place)), f"{place} imports no {sdks}"
    assert wrong == {}


def test_parts_of_the_domain_do_not_import_what_the_table_keeps_from_them():
    rows = table("part")
    assert len(rows) >= 5
    wrong = {}
    for places, forbidden in rows:
        for path in {path for place in places for path in modules_of(place)}:
            if unwanted := importing(path, *map(package_of, forbidden)):
                wrong[named(path)] = unwanted
    assert wrong == {}


def test_no_folder_of_the_domain_imports_itself_through_others():
    assert cycle_in(edges_of(modules_of("shared/"))) == ""


def test_a_cycle_of_imports_is_printed_with_the_modules_that_make_it():
    edges = {
        "a": {"b": "shared/a.py"},
        "b": {"c": "shared/b/x.py", "d": "shared/b/y.py"},
        "c": {},
        "d": {"b": "shared/d.py"},
    }

    assert cycle_in(edges) == "b -> d (shared/b/y.py), d -> b (shared/d.py)"
    assert cycle_in({**edges, "d": {}}) == ""


def edges_of(paths: frozenset[Path]) -> dict[str, dict[str, str]]:
    """Return which folders and top-level modules import which, each with a module that does."""
    nodes = {path.relative_to(ROOT).parts[1].removesuffix(".py") for path in paths}
    edges: dict[str, dict[str, str]] = {node: {} for node in sorted(nodes)}
    for path in sorted(paths):
        node = path.relative_to(ROOT).parts[1].removesuffix(".py")
        for found in importing(path, *(f"shared.{other}" for other in nodes - {node})):
            edges[node].setdefault(found.split(".")[1], named(path))
    return edges


def cycle_in(edges: dict[str, dict[str, str]]) -> str:
    """Return a cycle in words, or nothing if there is none."""
    done: set[str] = set()

    def search(path: list[str]) -> str:
        node = path[-1]
        if node in path[:-1]:
            cycle = path[path.index(node) :]
            steps = pairwise(cycle)
            return ", ".join(f"{here} -> {there} ({edges[here][there]})" for here, there in steps)
        if node in done:
            return ""
        found = next(filter(None, (search([*path, other]) for other in edges[node])), "")
        done.add(node)
        return found

    return next(filter(None, (search([node]) for node in edges)), "")


def test_the_path_of_the_api_is_written_once():
    """Beside it, in the contract and in the client, which is a distribution of its own."""
    written = {
        named(path)
        for folder in ("shared/", "run/", "functions/")
        for path in modules_of(folder)
        for text in facts_of(path).texts
        if re.search(r"^/v1\b|\B/v1/", text)
    }
    assert written == {"shared/api_path.py"}
    assert Contract.load().document["basePath"] == session.BASE_PATH == API_PATH


def test_modules_have_at_most_500_lines():
    """A module is one idea: neither split to meet a number, nor two ideas in one. No idea here is longer."""
    too_long = {
        named(path): lines
        for path in [*MODULES, *TESTS]
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert too_long == {}


def test_a_store_is_small_to_add():
    """docs/stores.md says so, of the one that it takes as its example."""
    assert len((ROOT / "shared" / "stores" / "posix" / "store.py").read_text().splitlines()) < 200


def test_no_module_has_an_empty_name():
    empty = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [path for path in [*MODULES, *TESTS] if path.stem in empty] == []


def test_every_public_module_class_and_function_has_a_docstring():
    assert [name for path in MODULES for name in facts_of(path).undocumented] == []


def test_only_private_names_and_functions_within_functions_need_no_docstring():
    source = """
class Public:
    def method(self): ...
    def _private(self): ...
    class Inner: ...
def put():
    "Documented."
    def read(): ...
def read(): ...
"""
    assert list(undocumented(ast.parse(source), "m.py")) == [
        "m.py",
        "m.py.Public",
        "m.py.Public.method",
        "m.py.Public.Inner",
        "m.py.read",
    ]


def undocumented(node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str) -> Iterator[str]:
    """Yield the names of a definition and of the public ones in it that have no docstring."""
    if isinstance(node, ast.FunctionDef) and "overload" in map(ast.unparse, node.decorator_list):
        # The function that it is a signature of has the docstring.
        return
    if not ast.get_docstring(node):
        yield name
    if isinstance(node, ast.FunctionDef):
        # Functions within a function are its own business.
        return
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef) and not inner.name.startswith("_"):
            yield from undocumented(inner, f"{name}.{inner.name}")
