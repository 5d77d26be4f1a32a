"""Tables are read line by line: what is wrong is named with its line, and nothing else is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import SystemClock
from shared.errors import Unprocessable
from shared.imports.tables import Line, columns_of, read_lines
from shared.stores.base import StoredObject
from shared.stores.signed_urls import SignedUrls
from tests.support.memory_store import MemoryStore

HEAD = b"source_url\tbundle\tname\n"


def lines_of(content: bytes, cursor: dict[str, int] | None = None) -> list[Line]:
    """Return the lines of a table with this content."""
    store, found = stored(content)
    return list(read_lines(store, found, cursor or {}))


def stored(content: bytes) -> tuple[MemoryStore, StoredObject]:
    """Return a store with a table, and its description."""
    store = MemoryStore(SignedUrls(base="", key=bytes(32), clock=SystemClock()), "bucket")
    store.create("bucket", "table", content, "text/plain")
    return store, store.stat("bucket", "table")


def test_a_row_has_the_cells_that_the_first_line_names() -> None:
    [line] = lines_of(b"\xef\xbb\xbfName\tSource_URL\tbundle\textra\r\nx.txt\tgs://b/k\tone\tmore\r\n")

    assert (line.where, line.flaw) == ("line 2", "")
    assert line.cells["source_url"] == "gs://b/k"
    assert (line.cells["bundle"], line.cells["name"]) == ("one", "x.txt")


def test_cells_may_be_missing_at_the_end_and_lines_may_be_empty() -> None:
    first, second = lines_of(HEAD + b"gs://b/k\tone\n\n  \t \ngs://b/l\ttwo\tname")

    assert (first.where, first.flaw, first.cells.get("name")) == ("line 2", "", None)
    assert (second.where, second.cells["name"]) == ("line 5", "name")


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        (b"\tone\tname", "no source_url"),
        (b"gs://b/k\t\tname", "no bundle"),
        (b"gs://b/k", "no bundle"),
        (b"gs://b/k\tone\tname\tmore", "4 columns"),
        (b"gs://b/k\tone\tn\xe4me", "not UTF-8, at byte 14"),
        (b"gs://b/k\t" + b"x" * 501, "more than 500 characters"),
        (b"gs://b/" + b"k" * 20_000, "longer than"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_are_read(row: bytes, flaw: str) -> None:
    before, wrong, after = lines_of(HEAD + b"gs://b/1\tone\n" + row + b"\ngs://b/2\tone\n")

    assert (wrong.where, flaw in wrong.flaw) == ("line 3", True), wrong.flaw
    assert (before.flaw, after.flaw, after.where) == ("", "", "line 4")


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", ["no column source_url", "bundle", "nothing"]),
        (b"url\tbundle\n", ["no column source_url", "url, bundle"]),
        (b"source_url,bundle,name\n", ["source_url,bundle,name", "tabs"]),
        (b"source_url\tbundle\tbundle\n", ["bundle twice"]),
        ("source_url\tbundle\n".encode("utf-16"), ["not UTF-8", "save the table as UTF-8"]),
    ],
)
def test_a_first_line_that_names_no_columns_is_refused(head: bytes, words: list[str]) -> None:
    with pytest.raises(Unprocessable) as refused:
        columns_of(head)

    assert all(word in refused.value.title for word in words), refused.value.title


@given(st.lists(st.text("ab\té\n", max_size=12), max_size=30), st.integers(0, 29))
def test_a_table_can_be_read_on_from_any_line(rows: list[str], position: int) -> None:
    content = HEAD + "\n".join(rows).encode()
    lines = lines_of(content)

    if position < len(lines):
        at = lines[position]
        assert lines_of(content, {"end": at.end, "line": at.number}) == lines[position + 1 :]
