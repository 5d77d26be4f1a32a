"""A client of the API, and functions that put files, bundles and collections through it.

    def test_a_file_can_be_read(api, clouds, replica):
        file = put_file(api, clouds.stage(replica, b"content"))
        assert api.head(f"/v1/files/{file.uuid}", replica=replica).status_code == 200

`api` and `clouds` are fixtures of tests/conftest.py. All names are random, so tests share one running system
and never see each other's data.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from shared.clock import SystemClock, new_version
from tests.support.waiting import SLOWNESS, wait_until

PROBLEM = "application/problem+json"
# Seconds: clients give up after 40.
TIMEOUT = SLOWNESS * 40


def new_uuid() -> str:
    """Return a new UUID."""
    return str(uuid.uuid4())


def now() -> str:
    """Return a version of this moment, later than those before."""
    return new_version(SystemClock())


class Api:
    """A client of one API as one user: `api.put(path, json=body, replica="gcp", version=v)`.

    Paths are complete (`/v1/files/…`). Keywords other than `json`, `data` and `headers` are query parameters;
    None leaves one out. It follows no redirect, retries nothing, and raises for no status.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self._session = requests.Session()
        # Ignore a proxy or a .netrc of the machine.
        self._session.trust_env = False

    def signed_in(self, token: str | None) -> "Api":
        """Return a client of the same API with another token; None is anonymous."""
        return Api(self.url, token)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> requests.Response:
        """Return the answer to one request; `path` may be an absolute URL."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self._session.request(
            method,
            path if "://" in path else self.url + path,
            params=query,
            json=json,
            data=data,
            headers={**sent, **(headers or {})},
            allow_redirects=False,
            timeout=TIMEOUT,
        )
        if "://" not in path:
            _check_end(answer)
        return answer

    def head(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a HEAD."""
        return self.request("HEAD", path, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a GET."""
        return self.request("GET", path, **more)

    def put(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a PUT."""
        return self.request("PUT", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a POST."""
        return self.request("POST", path, **more)

    def patch(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a PATCH."""
        return self.request("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a DELETE."""
        return self.request("DELETE", path, **more)

    def pages(self, path: str, **query: Any) -> Iterator[requests.Response]:
        """Yield the answer to a GET, and those to its `Link`s up to the last page."""
        answer = self.get(path, **query)
        yield answer
        while answer.status_code == 206:
            answer = self.get(answer.links["next"]["url"])
            yield answer


def _check_end(answer: requests.Response) -> None:
    """Fail unless JSON ends with a newline, after which the prompt of a shell begins."""
    if "json" in answer.headers.get("Content-Type", "") and answer.content:
        assert answer.content[-1:] == b"\n" != answer.content[-2:-1], answer.url


@dataclass(frozen=True)
class Version:
    """The UUID and version of a file or bundle."""

    uuid: str
    version: str

    def __str__(self) -> str:
        return f"{self.uuid}.{self.version}"

    def named(self, name: str, *, indexed: bool = False) -> dict[str, Any]:
        """Return this file as an item of a bundle."""
        return {"uuid": self.uuid, "version": self.version, "name": name, "indexed": indexed}

    def linked(self, kind: str = "file", **more: str) -> dict[str, Any]:
        """Return this file, bundle or collection as an item of a collection; a fragment has a `path`."""
        return {"type": kind, "uuid": self.uuid, "version": self.version, **more}


def put_file(
    api: Api, source_url: str, *, file: Version | None = None, creator_uid: int = 1, status: int = 201
) -> Version:
    """PUT a file version, by default a new one, of a source object; fail unless the answer is `status`."""
    file = file or Version(new_uuid(), now())
    body = {"source_url": source_url, "creator_uid": creator_uid}
    answer = api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)
    assert answer.status_code == status, answer.text
    return file


def put_large_file(api: Api, source_url: str, replica: str) -> Version:
    """PUT a new file that the copy workflow verifies; return it once it is readable on the replica."""
    file = put_file(api, source_url, status=202)
    await_file(api, file, replica)
    return file


def await_file(api: Api, file: Version, replica: str) -> None:
    """Wait until a file is readable on a replica; fail if its verification fails."""

    def status() -> int:
        return api.head(f"/v1/files/{file.uuid}", replica=replica, version=file.version).status_code

    wait_until(lambda: status() != 404, f"{file} is verified")
    assert status() == 200


def put_bundle(
    api: Api,
    replica: str,
    files: Iterable[Mapping[str, Any]],
    *,
    bundle: Version | None = None,
    creator_uid: int = 1,
    owner_group: str | None = None,
    status: int = 201,
) -> Version:
    """PUT a bundle version, by default a new one, of items of `Version.named`; fail unless it is `status`."""
    bundle = bundle or Version(new_uuid(), now())
    body = {"files": list(files), "creator_uid": creator_uid}
    query = {"replica": replica, "version": bundle.version, "owner_group": owner_group}
    answer = api.put(f"/v1/bundles/{bundle.uuid}", **query, json=body)
    assert answer.status_code == status, answer.text
    return bundle


def put_collection(
    api: Api,
    replica: str,
    contents: Iterable[Mapping[str, Any]],
    *,
    collection: Version | None = None,
    status: int = 201,
    **about: Any,
) -> Version:
    """PUT a collection, by default a new one, of items of `Version.linked`; fail unless it is `status`."""
    collection = collection or Version(new_uuid(), now())
    body = {"name": "name", "description": "about", "details": {}, "contents": list(contents), **about}
    query = {"replica": replica, "uuid": collection.uuid, "version": collection.version}
    answer = api.put("/v1/collections", json=body, **query)
    assert answer.status_code == status, answer.text
    return collection


def assert_problem(answer: requests.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    """Fail unless the answer is the error `status` and `code` in the common shape, with these words."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert isinstance(problem["title"], str)
    # An unforeseen error has a request id, a 404 has the state of the replica.
    more = {500: {"request_id"}, 404: {"replica_state"}}.get(status, set())
    assert set(problem) - {"status", "code", "title"} <= more, problem
    for word in words:
        assert word in problem["title"], f"{word!r} is not in {problem['title']!r}"
    return problem
