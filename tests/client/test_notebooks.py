"""The notebooks of docs/notebooks run against the whole system, and print what they are committed with."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.support.notebooks import NOTEBOOKS, executed, shape

# Bytes; what is committed is read by people, and kept for ever.
_LARGEST = 200_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_is_committed(
    path: Path, whole_system: dict[str, str], tmp_path: Path
) -> None:
    committed = nbformat.read(path, as_version=4)

    again = executed(path, whole_system, tmp_path)

    assert shape(again) == shape(committed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_with_its_output_and_is_small(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    assert path.stat().st_size < _LARGEST


def _printing(text: str) -> object:
    return shape(new_notebook(cells=[new_code_cell("f()", outputs=[new_output("stream", text=text)])]))


def test_output_is_compared_but_for_uuids_times_and_ports() -> None:
    first = "drs://127.0.0.1:1/6f2b9bd2-98d8-4f4c-8a3a-2a6a06d7b8f1.2026-01-12T093000.000000Z  17 files"
    second = "drs://127.0.0.1:22/00000000-98d8-4f4c-8a3a-2a6a06d7b8f1.2026-11-12T093000.123456Z 17 files"

    assert _printing(first) == _printing(second)
    assert _printing(first) != _printing(second.replace("17", "16"))
