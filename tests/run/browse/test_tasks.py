"""Ten tasks of a scientist, done as in a browser without a script; docs/pages.md has what each takes.

`make pages` writes that, and takes the pictures of the page.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.run.browse.conftest import SAMPLES, Page, Pages
from tests.run.browse.test_looks import bundle_of, new_file, path_of
from tests.support.clouds import Clouds
from tests.support.waiting import SLOWNESS

DOCUMENT = Path(__file__).parents[3] / "docs" / "pages.md"
# Bytes of a page, and how far the sizes in the document may be off: ids and times differ from run to run.
MOST_BYTES = 100_000
TOLERANCE = 0.1
# Seconds that a page may take on a machine of tests.
MOST_SECONDS = 2 * SLOWNESS
# Whether the document and its pictures are to be written rather than compared.
WRITES = bool(os.environ.get("DSS_WRITE_PAGES"))
_ROW = r"^\| {name} \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$"


class Visit:
    """Somebody who follows links and sends forms, and counts that."""

    def __init__(self, pages: Pages, start: str) -> None:
        self._pages = pages
        self.clicks = self.requests = self.size = 0
        self.seconds = 0.0
        self.page = self._open(start)

    def follow(self, text: str) -> None:
        self.clicks += 1
        self.page = self._open(self.page.link(text))

    def send(self, changes: Mapping[str, str]) -> None:
        """Send the form of filters with other values: a click for each, and one for its button."""
        kept = {
            (box["name"], box["value"])
            for box in self.page.all("input")
            if box["name"] != "column" and (box["type"] == "hidden" or "checked" in box.attributes)
        }
        sent = [*sorted(kept), *changes.items()]
        [form] = self.page.all("form", class_="finder")
        self.clicks += len(changes) + 1
        self.page = self._open(f"{form['action']}?{urlencode(sent)}")

    def leave(self, text: str) -> str:
        """Follow a link that leads to another server, and return where."""
        self.clicks += 1
        self.requests += 1
        answer = self._pages.client.get(self.page.link(text))
        assert answer.status_code == 302
        return answer.headers["Location"]

    def _open(self, path: str) -> Page:
        began = time.monotonic()
        page = self._pages.get(path)
        self.seconds += time.monotonic() - began
        assert page.size < MOST_BYTES
        self.requests += 1
        self.size += page.size
        return page


@dataclass(frozen=True)
class Scene:
    """What is there to be looked at."""

    pages: Pages
    clouds: Clouds


Task = Callable[[Scene], Visit]
START = f"/browse?catalog={SAMPLES}"


def all_brain_samples_of_a_species(scene: Scene) -> Visit:
    visit = Visit(scene.pages, START)
    visit.follow("Samples")
    visit.send({"is.genusSpecies": "Danio rerio", "is.organ": "brain"})
    assert visit.page.rows() == ["a"]
    return visit


def the_number_and_size_of_fastq_files_of_an_organ(scene: Scene) -> Visit:
    visit = Visit(scene.pages, START)
    visit.follow("Files")
    visit.send({"is.organ": "brain", "is.fileFormat": "fastq"})
    assert "2 files found, with 30 bytes" in visit.page.text
    return visit


def what_a_project_is_about(scene: Scene) -> Visit:
    visit = Visit(scene.pages, START)
    visit.send({"q": "title"})
    visit.follow("Title of project")
    assert "Invented." in visit.page.text
    return visit


def the_files_of_a_project(scene: Scene) -> Visit:
    visit = what_a_project_is_about(scene)
    visit.follow("Its files")
    assert len(visit.page.rows()) == 4
    return visit


def a_rare_value_among_many(scene: Scene) -> Visit:
    visit = Visit(scene.pages, START)
    visit.follow("Paired end")
    visit.follow("yes")
    assert visit.page.rows() == ["Title of project"]
    return visit


def compare_two_versions(scene: Scene) -> Visit:
    old = bundle_of(scene.pages, scene.clouds, "same", "gone")
    bundle_of(scene.pages, scene.clouds, "same", "come", uuid=old.uuid)
    visit = Visit(scene.pages, f"/browse/bundles/{old.uuid}")
    visit.follow("what changed")
    assert "3 files differ" in visit.page.text
    return visit


def look_into_a_table(scene: Scene) -> Visit:
    visit = Visit(scene.pages, path_of("bundles", bundle_of(scene.pages, scene.clouds, "dir/table.csv")))
    visit.follow("dir/")
    visit.follow("table.csv")
    assert "The whole table." in visit.page.text
    return visit


def download_a_file(scene: Scene) -> Visit:
    visit = Visit(scene.pages, path_of("bundles", bundle_of(scene.pages, scene.clouds, "a.txt")))
    visit.follow("a.txt")
    assert "://" in visit.leave("Download 7 bytes")
    return visit


def take_a_bundle_to_terra(scene: Scene) -> Visit:
    visit = Visit(scene.pages, path_of("bundles", bundle_of(scene.pages, scene.clouds, "a.txt")))
    assert any(line.text.startswith("dss terra export") for line in visit.page.all("pre"))
    # That of the button that copies the line.
    visit.clicks += 1
    return visit


def where_and_since_when_a_file_is(scene: Scene) -> Visit:
    visit = Visit(scene.pages, path_of("files", new_file(scene.pages, scene.clouds, b"x")))
    assert "there since" in visit.page.text
    return visit


TASKS: tuple[Task, ...] = (
    *(all_brain_samples_of_a_species, the_number_and_size_of_fastq_files_of_an_organ),
    *(what_a_project_is_about, the_files_of_a_project, a_rare_value_among_many, compare_two_versions),
    *(look_into_a_table, download_a_file, take_a_bundle_to_terra, where_and_since_when_a_file_is),
)


def name_of(task: Task) -> str:
    return task.__name__.replace("_", " ")


def documented() -> dict[str, tuple[int, int, float, float]]:
    """Return the clicks, the requests, the seconds and the kilobytes of each task."""
    rows = re.finditer(_ROW.format(name="([a-z ]+)"), DOCUMENT.read_text(), re.MULTILINE)
    return {name: (int(a), int(b), float(c), float(d)) for name, a, b, c, d in map(re.Match.groups, rows)}


def write(task: Task, visit: Visit) -> None:
    """Write what a task takes into its row of the document."""
    name = name_of(task)
    row = f"| {name} | {visit.clicks} | {visit.requests} | {visit.seconds:.2f} | {visit.size / 1000:.1f} |"
    text, count = re.subn(_ROW.format(name=name), row, DOCUMENT.read_text(), flags=re.MULTILINE)
    assert count == 1
    DOCUMENT.write_text(text)


def test_every_task_is_documented() -> None:
    assert list(documented()) == [name_of(task) for task in TASKS]


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_what_the_document_says(pages: Pages, clouds: Clouds, task: Task) -> None:
    visit = task(Scene(pages, clouds))
    if WRITES:
        write(task, visit)

    # Seconds differ from machine to machine.
    clicks, requests, _, size = documented()[name_of(task)]
    assert (visit.clicks, visit.requests) == (clicks, requests)
    assert visit.size / 1000 == pytest.approx(size, rel=TOLERANCE, abs=0.5)
    assert visit.seconds < MOST_SECONDS * visit.requests
