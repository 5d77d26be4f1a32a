"""A client with the habits of the `hca` 7 and `dbio` tools: it builds itself from the server's contract.

Written from their behaviour, not from their code: method names are made of the HTTP method and the path, all
arguments are flat, a page's `Link` is followed with the original query appended, the Range header is sent to
the API as well, what is secured is signed by a service account's own key.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

# They retry these for about 100 seconds, but never POST and PATCH.
RETRIES = Retry(total=10, backoff_factor=0.1, status_forcelist={500, 502, 503, 504})
# Seconds to connect, and to wait for an answer.
TIMEOUT = (20, 40)


# The prefix of the claims in their tokens.
_CLAIMS = "https://auth.data.humancellatlas.org"


def settings_of_their_time(env: Mapping[str, str]) -> dict[str, str]:
    """Return settings with which the API of `env` accepts their tokens beside its own."""
    return {
        "OIDC_AUDIENCE": f"https://dev.data.humancellatlas.org/,{env['OIDC_AUDIENCE']}",
        "OIDC_EMAIL_CLAIM": f"{_CLAIMS}/email,email",
        "OIDC_GROUP_CLAIM": f"{_CLAIMS}/group,group",
        "DSS_WRITE_GROUPS": "dss,hca",
    }


class CallFailed(Exception):
    """The server answered 400 or more."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.status_code}: {answer.text}")
        self.status, self.code = answer.status_code, answer.json()["code"]


class OldClient:
    """`client.call("put_file", uuid=…, version=…, creator_uid=…, source_url=…)`."""

    def __init__(self, swagger_url: str, service_account: Path) -> None:
        self.contract = requests.get(swagger_url, timeout=60).json()
        self._account = json.loads(service_account.read_text())
        # The tools speak https here; this one uses the scheme of the test server.
        self._base = f"{swagger_url.partition('://')[0]}://{self.contract['host']}"
        self._operations: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in self.contract["paths"].items():
            for method, operation in methods.items():
                name = self._name(method, path)
                self._operations.setdefault(name, []).append((method.upper(), path, operation))
        self._session = self._open_session()

    @staticmethod
    def _open_session() -> requests.Session:
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=RETRIES))
        return session

    @staticmethod
    def _name(method: str, path: str) -> str:
        words = [word for word in path.split("/") if word and not word.startswith("{")]
        name = "_".join([method, *words])
        # PUT creates one item, a path that ends with an id reads one.
        one = method in ("put", "post") or path.endswith("/{uuid}")
        return name.removesuffix("s") if one else name

    @property
    def email(self) -> str:
        """The email of the service account."""
        return str(self._account["client_email"])

    @property
    def names(self) -> set[str]:
        """The names of all methods."""
        return set(self._operations)

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Return the answer of a method: parsed JSON, other content as bytes, for HEAD the response."""
        answer = self.answer(name, **arguments)
        if answer.request.method == "HEAD":
            return answer
        is_json = answer.headers["content-type"].startswith("application/json")
        return answer.json() if is_json else answer.content

    def pages(self, name: str, /, **arguments: Any) -> Iterator[requests.Response]:
        """Yield the pages of a method's answer."""
        answer = self.answer(name, **arguments)
        yield answer
        while next_url := answer.links.get("next", {}).get("url"):
            answer = self.answer(name, next_url, **arguments)
            yield answer

    def items(self, name: str, /, **arguments: Any) -> Iterator[Any]:
        """Yield the items of all pages, from the key that a header of each page names."""
        for page in self.pages(name, **arguments):
            items = page.json()
            for key in page.headers["X-OpenAPI-Paginated-Content-Key"].split("."):
                items = items[key]
            yield from items

    def answer(
        self,
        name: str,
        url: str | None = None,
        /,
        *,
        headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> requests.Response:
        """Return the answer to a method, redirects followed; raise CallFailed for an error."""
        method, path, operation = self._operation(name, arguments)
        places = {parameter["name"]: parameter["in"] for parameter in operation["parameters"]}
        bodies = [parameter["schema"] for parameter in operation["parameters"] if parameter["in"] == "body"]
        properties = bodies[0].get("properties", {}) if bodies else {}
        answer = self._session.request(
            method,
            url or self._base + self.contract["basePath"] + path.format(**arguments),
            params={key: value for key, value in arguments.items() if places.get(key) == "query"},
            json={key: value for key, value in arguments.items() if key in properties} if bodies else None,
            headers={**self._signed_in(operation), **(headers or {})},
            timeout=TIMEOUT,
        )
        if answer.status_code >= 400:
            raise CallFailed(answer)
        return answer

    def _operation(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        for method, path, operation in self._operations[name]:
            wanted = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            if wanted <= arguments.keys():
                return method, path, operation
        raise TypeError(f"{name}: no path takes {sorted(arguments)}")

    def _signed_in(self, operation: Mapping[str, Any]) -> dict[str, str]:
        if "security" not in operation:
            return {}
        secrets = self._session.get(f"{self._base}/internal/application_secrets", timeout=60).json()
        assert secrets["installed"]["client_id"]
        said = self.contract["securityDefinitions"]["OauthSecurity"]
        email, began = self._account["client_email"], time.time()
        claims = {
            "iss": email,
            "sub": email,
            "email": email,
            "aud": said["x-audience"],
            "iat": began,
            "exp": began + 3600,
            "scope": ["email", "openid", "offline_access"],
            said["x-group-claim"]: "hca",
            said["x-email-claim"]: email,
        }
        kid = {"kid": self._account["private_key_id"]}
        token = jwt.encode(claims, self._account["private_key"], algorithm="RS256", headers=kid)
        return {"Authorization": f"Bearer {token}"}

    def download(self, uuid: str, replica: str) -> dict[str, bytes]:
        """Return the files of a bundle by name; fail if one differs from its manifest."""
        found = {}
        for file in self.items("get_bundle", uuid=uuid, replica=replica):
            if file["size"] == 0:
                # No range of it could be served.
                found[file["name"]] = b""
                continue
            query = {"uuid": file["uuid"], "version": file["version"], "replica": replica}
            answer = self.answer("get_file", headers={"Range": "bytes=0-"}, **query)
            assert answer.headers["Content-Range"].startswith("bytes 0-")
            assert hashlib.sha256(answer.content).hexdigest() == file["sha256"].lower()
            found[file["name"]] = answer.content
        return found
