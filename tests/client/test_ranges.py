"""Ranges: planned without gaps, remembered through kills."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.transfer.ranges import PartFile, plan_ranges


@given(st.integers(0, 10_000), st.integers(1, 600))
def test_ranges_cover_every_byte_once(size: int, range_bytes: int) -> None:
    ranges = plan_ranges(size, range_bytes)

    assert [byte for part in ranges for byte in range(part.start, part.end)] == list(range(size))
    assert all(0 < part.size <= range_bytes for part in ranges)


def _part(path: Path, **changes: object) -> PartFile:
    wanted = {"size": 25, "sha256": "ab", "range_bytes": 10, **changes}
    return PartFile(path, **wanted)  # type: ignore[arg-type]


def test_complete_ranges_are_known_to_the_next_run(tmp_path: Path) -> None:
    part = _part(tmp_path / "x.part")
    part.write(10, b"0123456789")
    part.complete(1)
    part.close()

    again = _part(tmp_path / "x.part")

    assert [index for index, _ in again.missing()] == [0, 2]
    assert again.done_bytes == 10
    assert (tmp_path / "x.part").read_bytes()[10:20] == b"0123456789"


def test_a_torn_line_does_not_count(tmp_path: Path) -> None:
    part = _part(tmp_path / "x.part")
    part.complete(0)
    with (tmp_path / "x.part.done").open("a") as lines:
        lines.write("1")

    assert [index for index, _ in _part(tmp_path / "x.part").missing()] == [1, 2]


@given(garbage=st.binary(max_size=60))
def test_a_damaged_list_claims_no_ranges(tmp_path_factory: pytest.TempPathFactory, garbage: bytes) -> None:
    path = tmp_path_factory.mktemp("part") / "x.part"
    _part(path).close()
    path.with_name("x.part.done").write_bytes(garbage)

    assert len(_part(path).missing()) == 3


@pytest.mark.parametrize("changes", [{"sha256": "cd"}, {"size": 26}, {"range_bytes": 9}])
def test_ranges_of_another_content_are_dropped(tmp_path: Path, changes: dict[str, object]) -> None:
    part = _part(tmp_path / "x.part")
    part.complete(0)

    other = _part(tmp_path / "x.part", **changes)

    assert other.done_bytes == 0


def test_a_part_file_is_not_written_through_a_symbolic_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "x.part").symlink_to(victim)

    part = _part(tmp_path / "x.part")
    part.write(0, b"theirs")

    assert victim.read_text() == "mine"
