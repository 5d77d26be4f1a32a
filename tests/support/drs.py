"""A client of DRS that holds every answer against the service's own document, and against the standard's.

def test_a_file(drs, file):
    assert drs.get(f"/objects/{file}").json()["id"] == str(file)
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import jsonschema
import requests

from run.api.openapi import read_document
from run.drs.document import DRS_PATH, load_document
from shared.api_path import API_PATH
from tests.support.api import Api
from tests.support.beside import find_beside

# The standard's own document; if it is not there, the service's alone counts.
_STANDARD = "drs-1.5-openapi.yaml"
# Statuses that the standard does not name; their bodies are errors.
_FURTHER = (405, 410, 413, 414, 415, 429, 502, 503)
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_a_time(text: object) -> bool:
    # RFC 3339, in UTC.
    assert isinstance(text, str)
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return True


@cache
def documents() -> tuple[Mapping[str, Any], ...]:
    """Return the documents that answers are held against: the service's, and the standard's if there."""
    standard, own = find_beside(_STANDARD), load_document()
    return (own,) if standard is None else (own, read_document(standard))


class Drs:
    """A client of DRS at one API; `get`, `post` and `options` take a path below `/ga4gh/drs/v1`."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def signed_in(self, token: str | None) -> "Drs":
        """Return a client of the same API with another token; None is anonymous."""
        return Drs(self.api.signed_in(token))

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """Return the answer to one request, once it is held against the contract."""
        return checked(self.api.request(method, DRS_PATH + path, **more))

    def get(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a GET."""
        return self.request("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> requests.Response:
        """Return the answer to a POST."""
        return self.request("POST", path, json={} if json is None else json, **more)

    def options(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to an OPTIONS."""
        return self.request("OPTIONS", path, **more)

    def object(self, object_id: object, **more: Any) -> dict[str, Any]:
        """Return an object; fail unless it is 200."""
        answer = self.get(f"/objects/{object_id}", **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def method(self, object_id: object, kind: str) -> dict[str, Any]:
        """Return the one access method of a type."""
        [found] = [one for one in self.object(object_id)["access_methods"] if one["type"] == kind]
        return dict(found)

    def url(self, object_id: object, access_id: str, **more: Any) -> str:
        """Return a signed URL; fail unless it is 200."""
        answer = self.get(f"/objects/{object_id}/access/{access_id}", **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["url"])


def checked(answer: requests.Response) -> requests.Response:
    """Return an answer of DRS; fail unless it is what the contract says of its path, method and status."""
    method, path = str(answer.request.method).lower(), str(answer.request.path_url).partition("?")[0]
    for document in documents():
        _check(document, method, path.removeprefix(API_PATH).removeprefix(DRS_PATH), answer)
    return answer


def _check(document: Mapping[str, Any], method: str, path: str, answer: requests.Response) -> None:
    if answer.status_code == 202:
        assert re.fullmatch("[1-9][0-9]*", answer.headers["Retry-After"])
        assert answer.content == b""
        return
    assert answer.headers["Content-Type"] == "application/json", answer.headers
    declared = _operation(document, method, path)
    if answer.status_code >= 400:
        assert declared is None or answer.status_code in _FURTHER or _knows(declared, answer.status_code)
        _validate(document, {"$ref": "#/components/schemas/Error"}, answer.json())
        assert answer.json()["status_code"] == answer.status_code
        assert answer.json()["msg"], "an error without a reason"
        return
    assert declared, f"{method} {path} is no operation, but {answer.status_code}"
    response = declared["responses"][str(answer.status_code)]
    while "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    _validate(document, response["content"]["application/json"]["schema"], answer.json())
    assert list(_nulls(answer.json(), "answer")) == []


def _knows(declared: Mapping[str, Any], status: int) -> bool:
    return str(status) in declared["responses"] or "default" in declared["responses"]


def _operation(document: Mapping[str, Any], method: str, path: str) -> Mapping[str, Any] | None:
    """Return the operation at a path; one without parameters comes before others."""
    for template in sorted(document["paths"], key=lambda text: text.count("{")):
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if method in document["paths"][template] and re.fullmatch(pattern, path):
            found: Mapping[str, Any] = document["paths"][template][method]
            return found
    return None


def _validate(document: Mapping[str, Any], schema: Mapping[str, Any], body: Any) -> None:
    whole = {**schema, "components": document["components"]}
    # Draft 4 is what OpenAPI 3.0 extends.
    jsonschema.Draft4Validator(whole, format_checker=_FORMATS).validate(body)


def _nulls(value: Any, where: str) -> Iterator[str]:
    if value is None or value == "":
        yield where
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _nulls(member, f"{where}.{name}")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _nulls(member, f"{where}[{number}]")
