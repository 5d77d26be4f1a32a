"""The pages, asked within the test's own process, of catalogues and of a store that is running."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from run.api.app import create_app
from shared.catalog import AdminRun, JobState
from shared.jobs.reports import Reports, as_line
from shared.messages import BUNDLE_CHANGES, BUNDLE_EVENTS
from tests.support.api import Api, new_uuid
from tests.support.dss import open_dss_for_threads
from tests.support.explore_service import ExploreService
from tests.support.hca_sample import sequenced
from tests.support.topics import make_topics

# Catalogues: of invented bundles of the HCA, of what tests put, and of any metadata.
SAMPLES, OWN, ANY = "page-samples", "page-own", "page-any"
# The group that reads the second of the samples.
LAB = "page-lab"
# What no page may hold as it is.
EVIL = "<script>alert(1)</script>"
CATALOGUES = [
    {"name": SAMPLES, "plugin": "hca"},
    {"name": OWN, "plugin": "hca"},
    {
        "name": ANY,
        "plugin": "generic",
        "options": {"facets": {"topic": {"path": "topic", "file": "about.json"}}},
    },
]


class Element:
    """An element of a page: its attributes, and the text in it."""

    def __init__(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        self._texts.append(text)

    @property
    def text(self) -> str:
        """Its text, with one space wherever there is any."""
        return " ".join("".join(self._texts).split())

    def __getitem__(self, name: str) -> str:
        return self.attributes[name] or ""


class _Parser(HTMLParser):
    _VOID = frozenset(("meta", "link", "input", "img", "br", "hr"))

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, dict(attrs))
        self.elements.append(made)
        if tag not in self._VOID:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1].tag == tag, (
            f"</{tag}> closes {self._open[-1:] and self._open[-1].tag}"
        )
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for each in self._open:
            each.add(data)

    @property
    def is_complete(self) -> bool:
        return not self._open


class Page:
    """A page that was answered."""

    def __init__(self, answer: TestResponse) -> None:
        self.status = answer.status_code
        self.headers = answer.headers
        self.html = answer.get_data(as_text=True)
        self.size = len(answer.get_data())
        parser = _Parser()
        parser.feed(self.html)
        assert parser.is_complete
        self._elements = parser.elements

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of a tag with these attributes; `class_` is among its classes."""
        wanted = attributes.pop("class_", None)
        return [
            each
            for each in self._elements
            if each.tag == tag
            and all(each.attributes.get(name.rstrip("_")) == text for name, text in attributes.items())
            and (wanted is None or wanted in (each.attributes.get("class") or "").split())
        ]

    @property
    def text(self) -> str:
        """The text of the page's content."""
        [main] = self.all("main")
        return main.text

    @property
    def title(self) -> str:
        [title] = self.all("title")
        return title.text

    def link(self, text: str) -> str:
        """Return where the first link with a text leads."""
        return next(each["href"] for each in self.all("a") if each.text == text)

    def rows(self) -> list[str]:
        """Return the texts of the first cells of the first table."""
        return [each.text for each in self.all("th", scope="row")]


@dataclass
class Pages:
    """A reader of pages; `service` puts what they show."""

    client: FlaskClient
    service: ExploreService

    def get(self, path: str, *, by: Api | None = None, status: int = 200, **query: Any) -> Page:
        """Return a page, which has this status."""
        if query:
            path = f"{path}{'&' if '?' in path else '?'}{urlencode(query, doseq=True)}"
        headers = {"Authorization": f"Bearer {by.token}"} if by else {}
        found = Page(self.client.get(path, headers=headers))
        assert found.status == status, found.text
        return found


@pytest.fixture(scope="session")
def pages(stack: dict[str, str]) -> Iterator[Pages]:
    """The pages. SAMPLES has three bundles of two projects; the second bundle is for LAB only."""
    env = {**stack, "DSS_CATALOGUES": json.dumps(CATALOGUES), "DSS_ADDRESS_UNITS": "1000000"}
    make_topics(env, BUNDLE_EVENTS, BUNDLE_CHANGES)
    dss = open_dss_for_threads(env)
    with closing(dss.catalogues):
        service = ExploreService(Api(stack["DSS_URL"]), env, dss)
        service.put(SAMPLES, sequenced("first", specimen="a", organ="brain").metadata())
        service.put(
            SAMPLES, sequenced("second", project="secret", specimen="b", organ="heart").metadata(), LAB
        )
        service.put(SAMPLES, sequenced("third", specimen="c", organ="liver", cells=50).metadata())
        yield Pages(create_app(dss).test_client(), service)


@pytest.fixture
def run(pages: Pages) -> AdminRun:
    """A run with two parts of a report, the first of which is longer than a page."""
    runs, reports = pages.service.dss.catalog.runs, Reports(pages.service.dss)
    made = runs.begin(f"pages-{new_uuid()}", "audit", {"repair": False}, "execution")
    for number, count in ((1, 120), (2, 1)):
        lines = [
            as_line({"kind": "lost", "key": f"blobs/{number}-{line}", "why": EVIL}) for line in range(count)
        ]
        state = {"parts": number, "counts": {"findings": 121}, "over": number == 2}
        reports.write(made, number, lines, state)
        made = runs.advance(made, state)
    runs.end(made, JobState.SUCCEEDED)
    found = runs.get(made.id)
    assert found
    return found
