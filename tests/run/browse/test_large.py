"""What is very large, or written in another direction, looks right and stays small."""

import time

import pytest

from run.browse.looks import MOST_ENTRIES
from tests.run.browse.conftest import OWN, Page, Pages
from tests.run.browse.test_looks import bundle_of
from tests.support.clouds import Clouds
from tests.support.hca_sample import HcaBundle, id_of, sequenced
from tests.support.waiting import SLOWNESS

MANY = 10_000
MIB = 1 << 20
# Right to left, a mark that turns what follows, a family of four that is one sign, and accents in two forms.
HEBREW, TURNED, FAMILY, ACCENTS = (
    *("\u05de\u05d5\u05d7", "\u202eniarb", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"),
    "e\u0301\u00e9",
)
NAMES = (HEBREW, TURNED, FAMILY, ACCENTS)


def put(pages: Pages, name: str, organ: str, title: str) -> HcaBundle:
    """Put a bundle of a project of its own into a catalogue."""
    bundle = sequenced(name, project=name, specimen=f"specimen of {name}", organ=organ)
    core = bundle.document(bundle.project)["project_core"]
    core["project_title"] = core["project_description"] = title
    pages.service.put(OWN, bundle.metadata())
    return bundle


def isolated(page: Page, text: str) -> bool:
    """Return whether a text stands in an element of its own, which keeps its direction to itself."""
    return any(each.text == text for each in page.all("bdi"))


def test_ten_thousand_files_are_a_few_small_pages(pages: Pages, clouds: Clouds) -> None:
    folders = [f"{number // 1000}/{number // 100 % 10}/{number:05}.txt" for number in range(MANY)]
    bundle = bundle_of(pages, clouds, *folders)
    path = f"/browse/bundles/{bundle.uuid}"

    began = time.monotonic()
    page = pages.get(path)
    assert time.monotonic() - began < 5 * SLOWNESS
    assert "10,000 files, 70 kB" in page.text
    assert page.rows()[:10] == [f"{number}/" for number in range(10)]
    inner = pages.get(pages.get(page.link("7/")).link("3/"))
    assert "100 files, 700 bytes in this folder" in inner.text
    assert inner.rows()[0] == "07300.txt"
    assert pages.get(inner.link("07399.txt")).title.startswith("File 7/3/07399.txt")
    assert max(page.size, inner.size) < 100_000


def test_ten_thousand_files_of_one_folder_are_walked_to_the_end(pages: Pages, clouds: Clouds) -> None:
    bundle = bundle_of(pages, clouds, *(f"{number:05}" for number in range(MANY)))

    last = pages.get(f"/browse/bundles/{bundle.uuid}", start=MANY - MOST_ENTRIES)
    assert f"{MANY - MOST_ENTRIES + 1:,} to 10,000 of 10,000" in last.text
    assert last.rows()[MOST_ENTRIES - 1] == "09999"
    assert not [link for link in last.all("a") if link.text == "Next"]


@pytest.mark.parametrize("value", ["x" * MIB, "<b>&" * (MIB // 4), HEBREW * (MIB // 6)], ids=["x", "<", "r"])
def test_a_value_of_a_mebibyte_is_shown_in_part(pages: Pages, value: str) -> None:
    name = f"long {value[:2]}"
    put(pages, name, value, value)
    found = {"catalog": OWN, "is.projectId": id_of(name)}

    for path, query in (
        ("/browse/projects", found),
        ("/browse/files", {**found, "column": "organ"}),
        ("/browse/samples", found),
        ("/browse/charts/files", found),
        ("/browse/files/values/organ", found),
        (f"/browse/projects/{id_of(name)}", {"catalog": OWN}),
    ):
        page = pages.get(path, **query)
        assert page.size < 100_000, path
        assert " characters)" in page.text, path
        assert "<b>" not in page.html


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_script_are_found_and_look_right(pages: Pages, clouds: Clouds, name: str) -> None:
    put(pages, f"odd {name}", f"organ {name}", f"Title {name}")
    query = {"catalog": OWN, "is.organ": f"organ {name}"}

    page = pages.get("/browse/projects", **query)
    assert page.rows() == [f"Title {name}"]
    assert isolated(page, f"Title {name}")
    assert isolated(page, f"organ {name}")
    project = pages.get(page.link(f"Title {name}"))
    assert project.title.startswith(f"Title {name}")
    assert isolated(project, f"Title {name}")
    assert pages.get(project.link(f"organ {name}")).rows() == [f"Title {name}"]
    values = pages.get("/browse/projects/values/organ", catalog=OWN, find=name)
    assert pages.get(values.link(f"organ {name}")).rows() == [f"Title {name}"]
    bundle = bundle_of(pages, clouds, f"{name}/{name}.txt")
    folder = pages.get(pages.get(f"/browse/bundles/{bundle.uuid}").link(f"{name}/"))
    assert isolated(folder, f"{name}.txt")
    assert isolated(pages.get(folder.link(f"{name}.txt")), f"{name}/{name}.txt")
