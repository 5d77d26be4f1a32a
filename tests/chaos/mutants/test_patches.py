"""Planted bugs still apply to the sources, change them, and leave them Python."""

import ast
import shutil
from pathlib import Path

import pytest

from local.source_tree import ROOT
from tests.chaos.mutants.patches import DoesNotApply, Mutant, mutants, parse

_PATCH = """It is wrong.

diff --git a/one.py b/one.py
--- a/one.py
+++ b/one.py
@@ -1,3 +1,3 @@
 a = 1
-b = 2
+b = 3
 c = 3
@@ -7,2 +7,1 @@
-d = 4
 e = 5
diff --git a/two.py b/two.py
--- a/two.py
+++ b/two.py
@@ -1,0 +1,1 @@
 f = 6
+g = 7
"""
_ONE, _TWO = "# new\na = 1\nb = 2\nc = 3\nx = 0\nd = 4\ne = 5\n", "f = 6\n"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "one.py").write_text(_ONE)
    (tmp_path / "two.py").write_text(_TWO)
    return tmp_path


def test_a_patch_applies_wherever_its_lines_are(sources: Path) -> None:
    mutant = parse("name", _PATCH)
    mutant.apply(sources)
    assert mutant.about == "It is wrong."
    assert (sources / "one.py").read_text() == "# new\na = 1\nb = 3\nc = 3\nx = 0\ne = 5\n"
    assert (sources / "two.py").read_text() == "f = 6\ng = 7\n"


@pytest.mark.parametrize("text", [_ONE.replace("b = 2", "b = 20"), _ONE + _ONE])
def test_a_patch_whose_lines_are_gone_or_twice_there_does_not_apply(sources: Path, text: str) -> None:
    (sources / "one.py").write_text(text)
    with pytest.raises(DoesNotApply, match=r"name: one\.py"):
        parse("name", _PATCH).apply(sources)


def test_there_are_ten_bugs() -> None:
    assert len(mutants()) >= 10


@pytest.mark.parametrize("mutant", mutants().values(), ids=lambda mutant: mutant.name)
def test_a_bug_applies_to_the_sources(mutant: Mutant, tmp_path: Path) -> None:
    assert mutant.about.endswith(".")
    files = {hunk.file for hunk in mutant.hunks}
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    mutant.apply(tmp_path)
    for file in files:
        assert (tmp_path / file).read_text() != (ROOT / file).read_text()
        ast.parse((tmp_path / file).read_text())
