"""The local issuer within a test's process, people at its pages, and a DSS that names it."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

from local.issuer.claims import AUDIENCE
from local.issuer.grants import Grants
from local.issuer.keys import Key
from local.issuer.server import create_app
from local.supervisor.ports import HOST
from tests.support.server_threads import in_thread

WRITER = {"email": "ada@example.org", "group": "dss", "seconds": "3600", "decision": "allow"}


@dataclass
class RunningIssuer:
    """The local issuer, and an application at `/dss` that says, as a DSS does, how to sign in to it."""

    url: str = ""
    grants: Grants = field(default_factory=Grants)
    # Paths in the order of the requests; those to which the issuer answers 503.
    seen: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    client: dict[str, Any] = field(default_factory=lambda: {"client_id": AUDIENCE, "client_secret": "s"})
    # Statuses that the DSS answers with before it says whose token it got.
    answers: list[int] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    # Seconds since 1970 before which the DSS does not answer.
    answer_after: float = 0.0

    @property
    def dss(self) -> str:
        """The URL of the DSS."""
        return f"{self.url}/dss"

    def decide(self, address: str, **form: str) -> requests.Response:
        """Open a page of the issuer as a browser does, fill its form, and follow the redirect."""
        answer = self.submit(address, **form)
        return requests.get(answer.headers["Location"], timeout=60) if answer.is_redirect else answer

    def submit(self, address: str, **form: str) -> requests.Response:
        """Open a page of the issuer and fill its form; return the answer, which may be a redirect."""
        page = requests.get(address, timeout=60)
        assert page.status_code == 200, page.text
        assert 'name="email"' in page.text
        return requests.post(address, data={**WRITER, **form}, timeout=60, allow_redirects=False)

    def forget(self) -> None:
        """Forget what was asked, and fail no more."""
        self.failing, self.answer_after = set(), 0.0
        for noted in (self.seen, self.answers, self.tokens):
            noted.clear()

    def count(self, path: str) -> int:
        """Return how many requests of a path there were."""
        return self.seen.count(path)


@contextmanager
def running_issuer(**options: Any) -> Iterator[RunningIssuer]:
    """Serve an issuer on a free port."""
    running = RunningIssuer(**options)
    server = make_server(HOST, 0, _NoApp(), threaded=True)
    running.url = f"http://{HOST}:{server.server_port}"
    server.app = _app(running)
    with in_thread(server):
        yield running


class _NoApp:
    def __call__(self, *_: Any) -> list[bytes]:
        return []


def _app(running: RunningIssuer) -> Flask:
    app = create_app(running.url, Key.new(), {"robot@p.iam.gserviceaccount.com": Key.new()}, running.grants)

    @app.before_request
    def note() -> Any:
        running.seen.append(request.path)
        return ("failing", 503) if request.path in running.failing else None

    @app.get("/dss/internal/application_secrets")
    def secrets() -> Any:
        sign_in = {"issuer": running.url, "token_type": "id_token"}
        return jsonify(installed=running.client, sign_in=sign_in)

    @app.route("/dss/v1/<path:_>", methods=["GET", "PUT"])
    def call(_: str) -> Any:
        running.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        time.sleep(max(0.0, running.answer_after - time.time()))
        status = running.answers.pop(0) if running.answers else 200
        problem = {} if status == 200 else {"code": "unauthorized", "title": "the DSS has another audience"}
        return jsonify(bundles=[], token=running.tokens[-1], **problem), status

    return app


def address_in(text: str) -> str:
    """Return the first address of an authorization or device page in a text."""
    found = re.search(r"http://\S+/(?:authorize|device)\?\S+", text)
    assert found, text
    return found[0]


def open_url(address: str, **query: str) -> int:
    """Return the status of an address, with more in its query."""
    separator = "&" if "?" in address else "?"
    full = f"{address}{separator}{urlencode(query)}" if query else address
    try:
        with urllib.request.urlopen(full, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
