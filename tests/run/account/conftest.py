"""People at the pages, with browsers that are test clients of an application in this process."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from run.api.app import create_app
from shared.messages import BUNDLE_CHANGES, BUNDLE_EVENTS
from tests.run.browse.conftest import Page
from tests.support.api import Api, new_uuid
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.explore_service import ExploreService
from tests.support.hca_sample import sequenced
from tests.support.topics import make_topics

CATALOGUE = "account-samples"
LAB = "account-lab"


def address_of(answer: TestResponse | requests.Response) -> str:
    """Return the path and query to which an answer leads, within this server or at another one."""
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@dataclass
class Person:
    """Somebody with a browser; `group` is the one that their sign-in proves."""

    client: FlaskClient
    email: str = field(default_factory=lambda: f"{new_uuid()}@example.org")
    group: str = "dss"

    def get(self, path: str, status: int = 200, **headers: str) -> Page:
        """Return a page, which has this status."""
        found = Page(self.client.get(path, headers=headers))
        assert found.status == status, found.text
        return found

    def provider_page(self, following: str = "/browse") -> str:
        """Begin to sign in; return the address at the provider."""
        answer = self.client.get("/browse/sign-in", query_string={"next": following})
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def consent(self, address: str, **form: str) -> str:
        """Sign in at the provider; return the path and query with which the browser comes back."""
        given = {"email": self.email, "group": self.group, "seconds": "3600", "decision": "allow", **form}
        return address_of(requests.post(address, data=given, timeout=20, allow_redirects=False))

    def sign_in(self, following: str = "/browse", **form: str) -> str:
        """Sign in; return the path to which that leads."""
        answer = self.client.get(self.consent(self.provider_page(following), **form))
        assert answer.status_code == 303, answer.text
        return address_of(answer)

    def send(self, path: str, page: Page | str, status: int = 303, **fields: Any) -> TestResponse:
        """Send a form to a path, with the key of a page; return the answer, which has this status."""
        found = self.get(page) if isinstance(page, str) else page
        keys = {each["value"] for each in found.all("input", name="dss-form")}
        assert len(keys) == 1, "a page has one key in all its forms"
        answer = self.client.post(path, data={**fields, "dss-form": keys.pop()})
        assert answer.status_code == status, re.sub(r"\s*<[^>]*>\s*", " ", answer.get_data(as_text=True))
        return answer


@dataclass
class Site:
    """The pages, and what puts things there."""

    app: Flask
    service: ExploreService
    clouds: Clouds

    def visitor(self, **who: str) -> Person:
        """Return somebody who has not signed in."""
        return Person(self.app.test_client(), **who)

    def member(self, **who: str) -> Person:
        """Return somebody who has signed in, by default a member of a group that may write."""
        person = self.visitor(**who)
        person.sign_in()
        return person


@pytest.fixture(scope="session")
def site(stack: dict[str, str], clouds: Clouds) -> Iterator[Site]:
    """The pages of a catalogue with three bundles; the second is for LAB only."""
    catalogues = [{"name": CATALOGUE, "plugin": "hca"}]
    env = {**stack, "DSS_CATALOGUES": json.dumps(catalogues), "DSS_ADDRESS_UNITS": "1000000"}
    make_topics(env, BUNDLE_EVENTS, BUNDLE_CHANGES, "deliveries", "replays")
    dss = open_dss_for_threads(env)
    with closing(dss.catalogues):
        service = ExploreService(Api(stack["DSS_URL"]), env, dss)
        service.put(CATALOGUE, sequenced("account-first", specimen="a", organ="brain").metadata())
        service.put(
            CATALOGUE,
            sequenced("account-second", project="account-secret", specimen="b", organ="heart").metadata(),
            LAB,
        )
        service.put(CATALOGUE, sequenced("account-third", specimen="c", organ="liver").metadata())
        yield Site(create_app(dss), service, clouds)


Opened = Callable[[str], dict[str, list[str]]]


def query_of(address: str) -> dict[str, str]:
    """Return the query of an address."""
    return {name: texts[0] for name, texts in parse_qs(urlsplit(address).query).items()}
