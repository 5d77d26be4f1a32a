"""A file is there as a whole, or as it was."""

from pathlib import Path

import pytest

from dss.atomic_files import replacing
from tests.support.command_line import dss_here
from tests.support.fake_dss import BUNDLE, FakeDss


def test_new_content_has_the_name_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    with replacing(path) as one, replacing(path) as other:
        one.write(b"1")
        other.write(b"2")
        assert path.read_text() == "old"

    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]


def test_a_secret_is_its_owners_alone_from_its_first_byte_on(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    with replacing(path, secret=True) as stream:
        (part,) = set(tmp_path.iterdir()) - {path}
        assert part.stat().st_mode & 0o777 == 0o600
        stream.write(b"new")

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    with pytest.raises(KeyboardInterrupt), replacing(path) as stream:
        stream.write(b"new")
        raise KeyboardInterrupt

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_is_not_written_through_a_link_beside_it(fake: FakeDss, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".x.tsv.part").symlink_to(tmp_path / "precious")
    command = ("terra", "table", BUNDLE, "--table", "bundle", "--output", tmp_path / "x.tsv")

    outcome = dss_here({"DSS_URL": fake.url, "DSS_TOKEN": "a.token"}, *command)

    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / "precious").read_text() == "precious"
    assert BUNDLE in (tmp_path / "x.tsv").read_text()
