"""A soak finds what grows, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.history import OK, READ, WRITE, History, Operation
from tests.chaos.soak import Sample, fitted, judge

_MIB = 2**20
_STEADY = [
    Sample(
        at=10.0 * n,
        bundles=5 * n,
        memory={"api": 100 * _MIB + n % 3 * _MIB},
        open_files={"api": 30},
        threads={"api": 20},
        documents=100 + 60 * n if n % 10 == 9 else None,
        files=40,
        pace=0.002,
    )
    for n in range(60)
]


def _history(path: Path, slower: float) -> History:
    history = History(path / "history")
    for n in range(600):
        for action in (READ, WRITE):
            took = 0.01 * (1 + slower * n)
            history.add(
                Operation(
                    action=action, register="r", value="", start=n, end=n + took, outcome=OK, status=200
                )
            )
    return history


def test_what_stays_is_right(tmp_path: Path) -> None:
    assert judge(_STEADY, _history(tmp_path, 0)).wrong == []


def test_what_grows_once_and_stays_so_is_right(tmp_path: Path) -> None:
    # A function that works for the first time opens its connections then.
    steps = [replace(one, open_files={"api": 30 + 20 * (n > 30)}) for n, one in enumerate(_STEADY)]
    assert judge(steps, _history(tmp_path, 0)).wrong == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda n, one: replace(one, memory={"api": (100 + n) * _MIB}), "memory of api"),
        (lambda n, one: replace(one, open_files={"api": 30 + n // 4}), "open files of api"),
        (lambda n, one: replace(one, threads={"api": 20 + n // 4}), "threads of api"),
        (lambda n, one: replace(one, files=40 + n), "files"),
        (lambda n, one: replace(one, documents=one.documents and one.documents + n * n), "documents"),
    ],
)
def test_what_grows_is_found(tmp_path: Path, change: Callable[[int, Sample], Sample], what: str) -> None:
    samples = [change(n, one) for n, one in enumerate(_STEADY)]
    [wrong] = judge(samples, _history(tmp_path, 0)).wrong
    assert wrong.startswith(what)


def test_answers_that_take_longer_and_longer_are_found(tmp_path: Path) -> None:
    wrong = judge(_STEADY, _history(tmp_path, 0.005)).wrong
    assert [each.split(":")[0] for each in wrong] == ["latency of read", "latency of write"]


def test_a_machine_that_is_busier_makes_all_answers_slower(tmp_path: Path) -> None:
    busier = [replace(one, pace=0.002 * (1 + n / 10)) for n, one in enumerate(_STEADY)]
    assert judge(busier, _history(tmp_path, 0.005)).wrong == []


def test_a_line_rises_as_its_values_do() -> None:
    assert fitted([0, 1, 2], [5, 7, 9]) == (2.0, 4.0)
    assert fitted([0, 1, 2], [5, 5, 5]) == (0.0, 0.0)
