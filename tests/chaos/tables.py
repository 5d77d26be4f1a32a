"""The tables of docs/chaos.md: `python -m tests.chaos.tables` writes them from the rows of a run."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from local.source_tree import ROOT
from tests.chaos.checks import CHECKS
from tests.chaos.clients import CLIENTS
from tests.chaos.faults import KINDS
from tests.chaos.mutants.patches import mutants

PAGE = Path(ROOT / "docs" / "chaos.md")
_BEGIN, _END = "<!-- {} -->", "<!-- end of {} -->"


def tables() -> dict[str, str]:
    """Return the tables by the name of their place on the page."""
    clients = Counter(client.about for client in CLIENTS)
    return {
        "clients": _table(("clients", "what they do"), ((count, about) for about, count in clients.items())),
        "faults": _table(
            ("kind", "what it is", "what it hits"),
            ((kind.name, kind.about, ", ".join(kind.targets)) for kind in KINDS),
        ),
        "checks": "\n".join(f"- {name[0].upper()}{name[1:]}." for name in CHECKS),
        "bugs": _table(("bug", "what is wrong"), ((one.name, one.about) for one in mutants().values())),
    }


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def written(page: str) -> str:
    """Return a page with its tables as they are now."""
    for name, table in tables().items():
        begin, end = _BEGIN.format(name), _END.format(name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
