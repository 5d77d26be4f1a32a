"""docs/chaos.md has the faults, clients, checks and bugs that there are."""

from tests.chaos.tables import PAGE, tables, written


def test_the_page_has_the_tables_of_now() -> None:
    page = PAGE.read_text()
    assert page == written(page), "run python -m tests.chaos.tables"
    assert all(f"<!-- end of {name} -->" in page for name in tables())
