"""Users of the catalogue, for Locust: `locust -f tests/load/explore_locust.py --host URL`.

They do what those of the predecessor's scale test do, as often: page through samples, look at projects, have
a manifest made, download a file, and resolve it by DRS and DOS. DSS_LOAD_BUNDLE may name a bundle whose files
these are.
"""

import json
import os
import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import gevent
from locust import HttpUser, between, task

_SIZE = 15
# Seconds for which a user waits for a manifest.
_PATIENCE = 120
Filters = Mapping[str, Mapping[str, list[Any]]]


class _Visitor(HttpUser):
    """Somebody with a browser, who reads for a moment before each step."""

    abstract = True
    wait_time = between(1, 5)

    def _get(self, name: str, path: str, *, status: int = 200, **query: Any) -> Any:
        """Return the answer's JSON; None if it is not as it should be, which counts as a failure."""
        target = f"{path}?{urlencode(query)}" if query else path
        with self.client.get(target, name=name, allow_redirects=False, catch_response=True) as answer:
            if answer.status_code != status:
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
                return None
            return answer.json() if status == 200 else answer.headers

    def _put(self, name: str, path: str, **query: Any) -> Any:
        """Return the JSON of the answer to PUT; None if it is not 200, which counts as a failure."""
        with self.client.put(f"{path}?{urlencode(query)}", name=name, catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
                return None
            return answer.json()

    def _page(self, name: str, kind: str, filters: Filters, **query: Any) -> Any:
        """Look at a page as a browser does, which asks for the summary at the same time."""
        text = json.dumps(filters)
        summary = gevent.spawn(self._get, f"{name}: summary", "/index/summary", filters=text)
        page = self._get(name, f"/index/{kind}", filters=text, size=_SIZE, **query)
        summary.join()
        return page

    def _pause(self) -> None:
        gevent.sleep(self.wait_time())


def _frequent(page: Any, facet: str, *, default: str | None = None) -> Filters:
    """Return a filter by one of the most frequent values of a facet, or by a value that is wanted."""
    terms = [each["term"] for each in page["termFacets"][facet]["terms"] if each["term"] is not None]
    if not terms:
        return {}
    return {facet: {"is": [default if default in terms else random.choice(terms[:5])]}}


class SampleReader(_Visitor):
    """Pages through the samples of an organ."""

    weight = 5

    @task
    def read(self) -> None:
        """The start page, those of an organ, and two more pages."""
        order = {"sort": "entryId", "order": "desc"}
        page = self._page("samples", "samples", {}, **order)
        if not page:
            return
        self._pause()
        organ = _frequent(page, "effectiveOrgan", default="brain")
        page = self._page("samples of an organ", "samples", organ, **order)
        for _ in range(2):
            if not page or not page["pagination"]["next"]:
                return
            self._pause()
            (after,) = parse_qs(urlsplit(page["pagination"]["next"]).query)["search_after"]
            page = self._page("samples, next page", "samples", organ, search_after=after, **order)


class ProjectReader(_Visitor):
    """Looks at the projects of a species, and then at those with files of a format."""

    weight = 1

    @task
    def read(self) -> None:
        """The start page, and two with more and more filters."""
        page = self._page("projects", "projects", {})
        filters: dict[str, Any] = {}
        for facet, default in (("genusSpecies", "Homo sapiens"), ("fileFormat", "mtx")):
            if not page:
                return
            self._pause()
            filters |= _frequent(page, facet, default=default)
            page = self._page(f"projects by {' and '.join(filters)}", "projects", filters)


class ManifestMaker(_Visitor):
    """Takes what is of a part of an organ to Terra."""

    weight = 3

    @task
    def make(self) -> None:
        """The start page, those of a part, and their manifest, asked for again as the service says."""
        page = self._page("samples", "samples", {})
        if not page:
            return
        self._pause()
        part = _frequent(page, "organPart")
        if not self._page("samples of a part", "samples", part):
            return
        self._pause()
        began = time.monotonic()
        text = json.dumps(part)
        state = self._put("manifest: start", "/fetch/manifest/files", filters=text, format="terra.bdbag")
        while state and state["Status"] == 301:
            if time.monotonic() - began > _PATIENCE:
                self._report_manifest(began, TimeoutError(f"not made in {_PATIENCE} s"))
                return
            gevent.sleep(state["Retry-After"])
            state = self._get("manifest: ask again", _path_of(state["Location"]))
        if state:
            self._report_manifest(began, None)

    def _report_manifest(self, began: float, error: Exception | None) -> None:
        """Count how long a manifest has taken, from the first request to the last."""
        self.environment.events.request.fire(
            request_type="",
            name="manifest: made",
            response_time=(time.monotonic() - began) * 1000,
            response_length=0,
            exception=error,
            context={},
        )


class Downloader(_Visitor):
    """Chooses a file and downloads it: the URL alone, which is all that the service does."""

    weight = 1

    @task
    def download(self) -> None:
        """A page of files of one format, one of them, and its URL in both ways."""
        file = _one_file(self, {"fileFormat": {"is": ["fastq.gz"]}})
        if file:
            self._pause()
            path, query = _own_path(file["url"])
            self._get("file: redirect", f"/repository/files/{path}?{query}", status=302)
            self._get("file: redirect for scripts", f"/fetch/repository/files/{path}?{query}")


class Resolver(_Visitor):
    """Resolves a file by DRS and DOS."""

    weight = 1

    @task
    def resolve(self) -> None:
        """A page of files, and the DRS and the DOS object of one."""
        file = _one_file(self, {})
        if file:
            self._pause()
            object_id = file["drs_uri"].rpartition("/")[2]
            self._get("file: DRS object", f"/ga4gh/drs/v1/objects/{object_id}")
            self._get(
                "file: DOS object", f"/ga4gh/dos/v1/dataobjects/{file['uuid']}", version=file["version"]
            )


def _one_file(visitor: _Visitor, filters: Filters) -> Any:
    bundle = os.environ.get("DSS_LOAD_BUNDLE")
    own = {"bundleUuid": {"is": [bundle]}} if bundle else {}
    page = visitor._page("files", "files", {**filters, **own})
    hits = page["hits"] if page else []
    return random.choice(hits)["files"][0] if hits else None


def _path_of(url: str) -> str:
    """Return a URL without its host, which a load test names itself."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _own_path(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.path.rpartition("/")[2], parts.query
