"""The notebooks of docs/notebooks: run one against a system, and say what shape its output has.

`python -m tests.support.notebooks` starts a system, runs all of them, and writes them with their output.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from local.source_tree import ROOT, python_path
from local.stack import Stack

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
# Seconds for one cell, on a machine that is ten times slower than a quiet one.
_CELL_SECONDS = 300

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z")
_PORT = re.compile(r"(127\.0\.0\.1|localhost)(:|%3A)\d+")
# Of an image only its kind counts: its bytes change with every version of what draws it.
_TEXTS = ("text/plain", "text/html", "application/json")


def executed(path: Path, env: Mapping[str, str], directory: Path) -> Any:
    """Return a notebook as it is after all of its cells ran. Raises CellExecutionError with their traceback.

    It runs as in a checkout, in `docs/notebooks` below `directory`, with nothing of this process's DSS.
    """
    place = directory / "docs" / "notebooks"
    place.mkdir(parents=True, exist_ok=True)
    if not (directory / "local").exists():
        (directory / "local").symlink_to(ROOT / "local")
    notebook = nbformat.read(path, as_version=4)
    runner = NotebookClient(
        notebook, timeout=_CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    )
    runner.execute(env=_environment(env, directory))
    _forget_times(notebook)
    return notebook


def _environment(env: Mapping[str, str], directory: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DSS_")}
    homes = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    own = {name: str(directory / name.lower()) for name in homes}
    return {**clean, "PYTHONPATH": python_path(), **own, **env}


def _forget_times(notebook: Any) -> None:
    """Remove when each cell ran, which would differ in every version."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def shape(notebook: Any) -> list[Any]:
    """Return source and output of each cell, without what differs from run to run: UUIDs, times, ports."""
    return [
        (cell.cell_type, cell.source, [_shape_of(one) for one in cell.get("outputs", [])])
        for cell in notebook.cells
    ]


def _shape_of(output: Any) -> Any:
    if output.output_type == "stream":
        return output.name, _without_what_changes(output.text)
    data = {kind: _without_what_changes(data) if kind in _TEXTS else "" for kind, data in output.data.items()}
    return output.output_type, sorted(data.items())


def _without_what_changes(text: Any) -> str:
    text = _PORT.sub("HOST", _VERSION.sub("VERSION", _UUID.sub("UUID", str(text))))
    # Columns are as wide as what is in them.
    return re.sub(r"[ ]{2,}|-{2,}", " ", text)


def main() -> None:
    """Run all notebooks, and write each with its output."""
    with Stack(port=0).running() as env, tempfile.TemporaryDirectory() as directory:
        for path in NOTEBOOKS:
            notebook = executed(path, env, Path(directory))
            nbformat.write(notebook, path)
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
