"""Names: what a bundle may hold, and where a download may write."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.errors import InvalidInput
from dss.identifiers import check_file_name
from dss.transfer.names import is_indexed, safe_target

STEPS = st.text(alphabet="ab.~ \\/\n\0é", min_size=0, max_size=5)


ACCEPTED = ["a", "a/b", "a b/ü.json", "a..b", "~a", "a.b/c.d"]
HIDDEN = [".hidden", "a/.hidden", ".git/HEAD", "a/.zarr/.zarray", "a/..b", "a./b"]
LEADING_ELSEWHERE = ["", "/a", "..", ".", "../a", "a/../b", "a/..", "a/.", "a/./b", "~/a"]
MALFORMED = ["a\\b", "a//b", "a/", "a\nb", "a\0"]


@pytest.mark.parametrize("name", [*ACCEPTED, *HIDDEN])
def test_names_of_the_contract_are_accepted(name: str) -> None:
    assert check_file_name(name) == name


@pytest.mark.parametrize("name", [*LEADING_ELSEWHERE, *MALFORMED])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_file_name(name)


@given(st.lists(STEPS, min_size=1, max_size=5))
def test_no_name_leads_out_of_the_target_directory(steps: list[str]) -> None:
    directory = Path("/nowhere/target")
    try:
        path = safe_target(directory, "/".join(steps))
    except InvalidInput:
        return
    assert path != directory
    assert path.is_relative_to(directory)
    assert ".." not in path.parts
    assert path.relative_to(directory).parts == tuple("/".join(steps).split("/"))


def test_a_symbolic_link_in_the_path_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (target / "link").symlink_to(outside)
    (target / "file").symlink_to(outside / "new")

    for name in ("link/a", "link", "file"):
        with pytest.raises(InvalidInput, match="symbolic link"):
            safe_target(target, name)


def test_a_file_where_a_directory_is_needed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "d").mkdir()

    with pytest.raises(InvalidInput, match="not a directory"):
        safe_target(tmp_path, "a/b")
    with pytest.raises(InvalidInput, match="not a file"):
        safe_target(tmp_path, "d")


@pytest.mark.parametrize("name", [".dss-download/x", ".DSS-Download/x"])
def test_a_bundle_may_not_name_files_among_unfinished_downloads(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        safe_target(tmp_path, name)


def test_json_files_are_indexed() -> None:
    assert is_indexed("a.json")
    assert not is_indexed("a.json.gz")
