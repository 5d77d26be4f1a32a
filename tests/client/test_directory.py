"""A directory is read completely, and refused completely."""

import os
from pathlib import Path

import pytest

from dss.errors import InvalidInput
from dss.transfer.directory import scan


def test_files_are_named_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "x").write_bytes(b"123")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "empty directory").mkdir()

    found = scan(tmp_path)

    assert [(file.name, file.size) for file in found] == [("a.json", 2), ("b/c/x", 3)]


def test_every_file_that_cannot_be_uploaded_is_named(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    (directory / "sub").mkdir(parents=True)
    (directory / "good").write_text("x")
    (directory / "back\\slash").write_text("x")
    (directory / "sub" / "new\nline").write_text("x")
    (directory / "out").symlink_to(tmp_path)
    (directory / "nowhere").symlink_to(tmp_path / "missing")
    (directory / "sub" / "loop").symlink_to(directory)
    os.mkfifo(directory / "pipe")

    with pytest.raises(InvalidInput) as refusal:
        scan(directory)

    message = str(refusal.value)
    for name in ("back", "new\\nline", "out", "nowhere", "sub/loop", "pipe"):
        assert name in message
    assert "good" not in message
    assert "6 of the files" in message


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("xyz")
    (tmp_path / "again").symlink_to("real")
    (tmp_path / "file").symlink_to("real/x")

    assert [(file.name, file.size) for file in scan(tmp_path)] == [("again/x", 3), ("file", 3), ("real/x", 3)]


def test_excluded_names_are_not_checked(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".DS_Store").write_text("x")
    (tmp_path / "keep").write_text("x")

    assert [file.name for file in scan(tmp_path, ["*.DS_Store"])] == ["keep"]


def test_a_directory_without_files_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no files"):
        scan(tmp_path)


def test_links_to_outside_are_followed_on_request_but_not_in_circles(tmp_path: Path) -> None:
    directory, outside = tmp_path / "data", tmp_path / "outside"
    directory.mkdir()
    outside.mkdir()
    (outside / "x").write_text("xyz")
    (directory / "out").symlink_to(outside)
    (directory / "file").symlink_to(outside / "x")

    found = scan(directory, follow_links=True)

    assert [(file.name, file.size) for file in found] == [("file", 3), ("out/x", 3)]
    with pytest.raises(InvalidInput, match="--follow-links uploads what it leads to"):
        scan(directory)
    (outside / "back").symlink_to(directory)
    (outside / "self").symlink_to(outside)
    (outside / "nowhere").symlink_to("missing")
    (outside / "circle").symlink_to("circle")
    with pytest.raises(InvalidInput) as refusal:
        scan(directory, follow_links=True)
    assert "4 of the files" in str(refusal.value)
    for name in ("out/back", "out/self"):
        assert f"{name!r} is a symbolic link to a directory that contains it" in str(refusal.value)
    for name in ("out/nowhere", "out/circle"):
        assert f"{name!r} is a symbolic link to a file that does not exist" in str(refusal.value)
