"""The bundles of the store, with a catalogue and without one."""

from dataclasses import replace

import pytest

from run.api.app import create_app
from shared.explore.base import NoCatalogues
from tests.run.api.test_access import bind
from tests.run.browse.conftest import LAB, Pages
from tests.run.browse.test_looks import bundle_of
from tests.support.api import new_uuid
from tests.support.clouds import Clouds

# So many that a page has not all of them.
FEW = 3


@pytest.fixture
def bare(pages: Pages) -> Pages:
    """The pages of a deployment without PostgreSQL, and so without a catalogue."""
    dss = replace(pages.service.dss, catalogues=NoCatalogues())
    return replace(pages, client=create_app(dss).test_client())


def test_a_store_without_a_catalogue_lists_its_bundles_by_prefix(bare: Pages, clouds: Clouds) -> None:
    bundle = bundle_of(bare, clouds, "a")

    assert "This deployment has no catalogue" in bare.get("/browse").text
    page = bare.get("/browse/store", prefix=bundle.uuid[:13].upper())
    assert page.rows() == [bundle.uuid]
    assert bare.get(page.link(bundle.uuid)).rows()[0] == "a"
    assert "DSS_CATALOGUES" in bare.get("/browse/files", status=404).text
    assert bare.get("/browse/files/" + new_uuid(), status=404)
    assert "begins with this" in bare.get("/browse/store", prefix="zz").text
    assert (
        "No bundle that you may see begins"
        in bare.get("/browse/store", prefix=bundle.uuid, replica="aws").text
    )


def test_pages_of_the_store_follow_each_other(
    pages: Pages, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("run.browse.handlers.MOST_ENTRIES", FEW)
    prefix = new_uuid()[:8]
    made = sorted(
        bundle_of(pages, clouds, "a", uuid=f"{prefix}{new_uuid()[8:]}").uuid for _ in range(2 * FEW + 1)
    )

    first = pages.get("/browse/store", prefix=prefix)
    second = pages.get(first.link("Next"))
    third = pages.get(second.link("Next"))

    assert first.rows() + second.rows() + third.rows() == made
    assert not [link for link in third.all("a") if link.text == "Next"]
    assert pages.get(third.link("First page")).rows() == first.rows()


def test_a_list_has_what_its_reader_may_see(pages: Pages, clouds: Clouds) -> None:
    bundle = bundle_of(pages, clouds, "a")
    bind(pages.service.dss, bundle.uuid, LAB)

    assert pages.get("/browse/store", prefix=bundle.uuid).rows() == []
    assert pages.get("/browse/store", prefix=bundle.uuid, by=pages.service.member(LAB)).rows() == [
        bundle.uuid
    ]


@pytest.mark.parametrize("query", [{"replica": "moon"}, {"after": "x"}, {"unknown": "1"}, {"prefix": "<é>"}])
def test_an_odd_parameter_of_the_store_is_a_400_page(pages: Pages, query: dict[str, str]) -> None:
    assert pages.get("/browse/store", **query, status=400).title.startswith("Bad Request")
