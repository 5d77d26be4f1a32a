"""What reading the contents of bundles and collections takes from a request budget."""

from types import SimpleNamespace
from typing import Any

import pytest

from run.drs import contents
from run.drs.contents import read_contents
from shared.access import Resource
from shared.catalog import CollectionHead
from shared.drs.objects import CollectionObject
from shared.identifiers import Fqid


def collection(number: int, items: int) -> CollectionObject:
    fqid = Fqid(f"5f6a0bd3-6a64-4f3e-9c0e-{number:012d}", "2026-01-12T093000.000000Z")
    head = CollectionHead(fqid=fqid, owner="", item_count=items, page_count=1, digest="")
    return CollectionObject(fqid=fqid, resource=Resource(name=""), is_there=True, head=head)


@pytest.mark.parametrize(
    ("items", "units"), [([0], 0), ([99], 0), ([100], 1), ([60, 60], 1), ([100_000], 1_000)]
)
def test_contents_are_charged_by_the_number_of_items(
    monkeypatch: pytest.MonkeyPatch, items: list[int], units: int
) -> None:
    charged: list[int] = []
    call: Any = SimpleNamespace(charge=charged.append, dss=None)
    monkeypatch.setattr(contents, "collection_items", lambda *_: [])

    read_contents(call, [collection(n, count) for n, count in enumerate(items)], expand=False)

    assert sum(charged) == units
