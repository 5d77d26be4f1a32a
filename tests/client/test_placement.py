"""Files go to their names, or to the nearest free path, and no two to one file."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dss.transfer.placement import Rehearsal, longest_step, place, suspicious

ODD_STEPS = st.sampled_from(["", "a", "b", "a~1", "A", "é", "x" * 300, "x" * 299 + ".gz"])
STEPS = st.one_of(ODD_STEPS, st.text(max_size=3))
NAMES = st.lists(STEPS, min_size=1, max_size=4).map("/".join).filter(lambda name: name.strip("/"))


def is_placeable(name: str) -> bool:
    return not name.startswith("/") and not {".", ".."} & set(name.split("/")) and "\0" not in name


@given(st.sets(NAMES.filter(is_placeable), max_size=12))
@example({"a", "a/", "a//", "a/b", "a//b", "a~1", "a~1/b"})
@example({"a", "a/b", "a/b/c", "a/b/c/d"})
def test_every_name_has_a_path_of_its_own(names: set[str]) -> None:
    paths = place(names)

    assert set(paths) == names
    assert len(set(paths.values())) == len(names)
    for path in paths.values():
        assert all(0 < len(step.encode()) <= 255 for step in path.split("/"))
        assert not any(other.startswith(path + "/") for other in paths.values())


@given(st.sets(NAMES.filter(is_placeable), max_size=8), st.randoms())
def test_paths_do_not_depend_on_the_order_of_names(names: set[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert place(shuffled) == place(names)


@given(st.sets(st.from_regex(r"\A[a-c]{1,3}(/[a-c]{1,3}){0,2}\Z"), max_size=10))
def test_names_that_a_directory_can_hold_keep_them(names: set[str]) -> None:
    paths = place(names)

    free = {name for name in names if not any(other.startswith(name + "/") for other in names)}
    assert {name for name in free if paths[name] != name} == set()


def test_a_file_in_the_way_of_a_directory_moves() -> None:
    assert place(["a", "a/b"]) == {"a": "a~1", "a/b": "a/b"}
    assert place(["a", "a/b", "a~1", "a.d", "a.d/x"]) == {
        "a": "a~2",
        "a/b": "a/b",
        "a~1": "a~1",
        "a.d": "a~1.d",
        "a.d/x": "a.d/x",
    }


@pytest.mark.parametrize("name", ["/a", "../a", "a/../b", "", "/", "a/./b", "a/.."])
def test_names_that_lead_elsewhere_are_not_made_harmless(name: str) -> None:
    assert place([name, name + "/x"])[name] == name


def test_names_that_some_file_system_takes_for_one_are_suspicious() -> None:
    by_case = [("Reads", "reads"), ("straße", "STRASSE")]
    by_form = [("é", "e\u0301"), ("ﬁle", "file")]
    for pair in [*by_case, *by_form, ("a.", "a"), ("a ", "a")]:
        assert suspicious([*pair, "other"]) == sorted(pair)
    assert suspicious(["A/x", "a/y"]) == []
    assert suspicious(["A", "a/y", "a/z", "b"]) == ["A", "a/y", "a/z"]


def test_a_rehearsal_finds_what_is_in_the_way_and_leaves_nothing(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tmp_path / "names")

    assert rehearsal.collisions(["Reads", "reads", "b/c"]) == {}
    assert rehearsal.collisions(["a", "a/b/c", "d"]) == {"a": "a/b/c", "a/b/c": "a"}
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_finds_a_directory_in_the_way_of_a_file(tmp_path: Path) -> None:
    class Reverse(Rehearsal):
        def _rehearse(self, paths):  # type: ignore[no-untyped-def]
            return super()._rehearse(reversed(paths))

    assert Reverse(tmp_path / "names").collisions(["a", "a/b"]) == {"a": "a/b", "a/b": "a"}


def test_what_an_interrupted_rehearsal_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "names" / "reads").mkdir(parents=True)

    assert Rehearsal(tmp_path / "names").collisions(["Reads", "reads"]) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_limit_of_a_step_is_that_of_the_file_system(tmp_path: Path) -> None:
    assert longest_step(tmp_path / "not" / "there") == longest_step(tmp_path) == 255
