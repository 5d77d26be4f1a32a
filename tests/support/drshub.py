"""A stand-in for DRSHub, by which Terra resolves DRS ids: the same calls in the same order, and its failures.

Written from a description of terra-drs-hub of 2024-10, as no such service can be reached from a test. What it
doesn't have is Terra itself: linked accounts, its own service accounts, and signed URLs that it makes itself.

    hub = DrsHub([Provider(name="DSS", host_regex=r"dss\\.example\\.org")], {"dss.example.org": api.url})
    hub.resolve("drs://dss.example.org/UUID.VERSION", ["gsUri", "accessUrl"], token)
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from tests.support.server_threads import in_thread

PATH = "/api/v4/drs/resolve"
# Seconds for the whole of one resolve.
SECONDS = 58
_DEFAULT_FIELDS = (
    *("bucket", "contentType", "fileName", "gsUri", "hashes", "localizationPath", "name", "size"),
    *("timeCreated", "timeUpdated", "googleServiceAccount"),
)
_FIELDS = frozenset((*_DEFAULT_FIELDS, "accessUrl", "bondProvider"))
_COMPACT = re.compile(r"(?:drs|dos)://(?P<prefix>(?:dg|drs)\.[0-9a-z-]+):(?P<id>.+)", re.IGNORECASE)
_HOSTNAME = re.compile(r"(?:drs|dos)://(?P<host>[^/:?]+\.[^/:?]+)/(?P<id>[^?]+)", re.IGNORECASE)


class Failed(Exception):
    """A resolve failed; `status` is that of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True, kw_only=True)
class AccessMethodConfig:
    """How a provider's access methods of a type are used: `auth` and `fallback_auth` are of `_TOKENS`."""

    type: str
    auth: str = "current_request"
    fallback_auth: str | None = None
    fetch_access_url: bool = True


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A DRS server that DRSHub knows."""

    name: str
    host_regex: str
    metadata_auth: bool = True
    methods: tuple[AccessMethodConfig, ...] = (AccessMethodConfig(type="gs"), AccessMethodConfig(type="s3"))


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What a request to DRSHub has beside its body; `passports` are those of the account that Terra links."""

    token: str = ""
    passports: Sequence[str] = ()
    user_project: str = ""
    address: str = "203.0.113.7"
    force_access_url: bool = False


@dataclass
class DrsHub:
    """Resolves ids at the providers; `hosts` has the URL of the server behind each name of a host."""

    providers: Sequence[Provider]
    hosts: Mapping[str, str]
    passports: Sequence[str] = ()
    calls: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    def resolve(
        self,
        url: str,
        fields: Sequence[str] | None = None,
        caller: Caller | None = None,
        platform: str | None = None,
    ) -> dict[str, Any]:
        """Return the fields of an object. Raise Failed."""
        wanted = _DEFAULT_FIELDS if fields is None else tuple(fields)
        if unknown := set(wanted) - _FIELDS:
            raise Failed(400, f"Fields are not supported: {sorted(unknown)}")
        host, object_id = self._parsed(url)
        provider = next((one for one in self.providers if re.fullmatch(one.host_regex, host)), None)
        if provider is None:
            raise Failed(400, f"Unable to determine DRS provider for id {url}")
        return _Resolve(self, provider, host, object_id, caller or Caller(), platform).fields(wanted)

    def _parsed(self, url: str) -> tuple[str, str]:
        if match := _COMPACT.fullmatch(url):
            raise Failed(400, f"No DRS provider for the prefix {match['prefix']}")
        match = _HOSTNAME.fullmatch(url)
        if not match or "?" in url:
            raise Failed(400, f"[{url}] is neither a host-based nor a compact DRS URI")
        return match["host"], unquote(match["id"])

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve `POST /api/v4/drs/resolve`; yield its URL."""
        hub = self

        class Handler(_Handler):
            drs_hub = hub

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        with in_thread(server):
            yield f"http://127.0.0.1:{server.server_address[1]}{PATH}"


class _Resolve:
    """One resolve."""

    def __init__(
        self, hub: DrsHub, provider: Provider, host: str, object_id: str, caller: Caller, platform: str | None
    ) -> None:
        self._hub = hub
        self._provider = provider
        self._url = f"{hub.hosts[host]}/ga4gh/drs/v1/objects/{quote(object_id, safe='')}"
        self._caller = caller
        self._platform = platform
        self._transaction = str(uuid.uuid4())

    def fields(self, wanted: Sequence[str]) -> dict[str, Any]:
        types = self._authorization_types()
        found = self._object(types) if set(wanted) - {"bondProvider"} else {}
        known = metadata_of(found) if found else {}
        if "accessUrl" in wanted or self._caller.force_access_url:
            known["accessUrl"] = self._access_url(found, types)
        return {name: known.get(name) for name in wanted if known.get(name) is not None}

    def _authorization_types(self) -> list[str] | None:
        """Return what OPTIONS says, None if it says nothing: then the configuration counts."""
        answer = self._call("OPTIONS", self._url, {})
        if answer.status_code != 200:
            return None
        types = answer.json().get("supported_types") or ["None"]
        if "BasicAuth" in types:
            raise Failed(500, "BasicAuth is not supported")
        return list(types)

    def _object(self, types: list[str] | None) -> Any:
        if types and "PassportAuth" in types and self._hub.passports:
            answer = self._call(
                "POST", self._url, {}, {"passports": list(self._hub.passports), "expand": False}
            )
            if answer.status_code == 200:
                return answer.json()
        headers = self._bearer() if self._provider.metadata_auth else {}
        answer = self._call("GET", self._url, headers)
        if answer.status_code != 200:
            raise Failed(answer.status_code, answer.text)
        return answer.json()

    def _access_url(self, found: Any, types: list[str] | None) -> dict[str, Any] | None:
        method, config = self._chosen(found)
        if not config.fetch_access_url and not self._caller.force_access_url:
            return None
        access_id = method.get("access_id")
        if not access_id:
            raise Failed(500, f"the access method {method['type']} has no access_id")
        url = f"{self._url}/access/{quote(access_id, safe='')}"
        auths = self._auths(types, config)
        answer = None
        for auth in auths:
            answer = self._signed(url, auth)
            if answer is not None and answer.status_code == 200:
                return dict(answer.json())
        if method["type"] == "gs":
            # The caller goes on with gsUri.
            return None
        raise Failed(answer.status_code if answer is not None else 500, f"{url}: no signed URL")

    def _auths(self, types: list[str] | None, config: AccessMethodConfig) -> list[str]:
        if types is None:
            return [auth for auth in (config.auth, config.fallback_auth) if auth]
        names = {"PassportAuth": "passport", "BearerAuth": "current_request", "None": "none"}
        # Passports are tried first.
        return [names[one] for one in ("PassportAuth", "BearerAuth", "None") if one in types]

    def _signed(self, url: str, auth: str) -> requests.Response | None:
        headers = {"X-Forwarded-For": self._caller.address}
        if self._caller.user_project:
            headers["x-user-project"] = self._caller.user_project
        if auth == "passport":
            passports = list(self._hub.passports)
            return self._call("POST", url, headers, {"passports": passports}) if passports else None
        return self._call("GET", url, headers | (self._bearer() if auth != "none" else {}))

    def _chosen(self, found: Any) -> tuple[Any, AccessMethodConfig]:
        methods = {one["type"]: one for one in found["access_methods"]}
        configs = self._provider.methods
        if self._platform:
            configs = tuple(one for one in configs if one.type == self._platform) or configs
        for config in configs:
            if config.type in methods:
                return methods[config.type], config
        raise Failed(400, f"none of the access methods {sorted(methods)} is configured")

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._caller.token}"} if self._caller.token else {}

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> requests.Response:
        sent = {**headers, "X-Transaction-Id": self._transaction}
        self._hub.calls.append((method, urlsplit(url).path, sent))
        try:
            return requests.request(
                method, url, headers=sent, json=body, timeout=SECONDS, allow_redirects=False
            )
        except requests.Timeout as error:
            raise Failed(503, "the provider took too long") from error


def metadata_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what DRSHub says of an object. Raise Failed for those on which it breaks."""
    if not found.get("access_methods"):
        raise Failed(500, "the object has no access_methods")
    if "size" not in found:
        raise Failed(500, "the object has no size")
    kinds = [one["type"] for one in found["checksums"]]
    if len(set(kinds)) < len(kinds):
        raise Failed(500, f"Duplicate key: two checksums of one type in {kinds}")
    urls = {one["type"]: one["access_url"]["url"] for one in found["access_methods"] if "access_url" in one}
    if not found.get("name") and not urls:
        raise Failed(500, "the object has neither a name nor an access_url")
    metadata = {
        "fileName": found.get("name") or next(iter(urls.values())).rpartition("/")[2],
        "hashes": {one["type"]: one["checksum"] for one in found["checksums"]},
        "size": found["size"],
        "contentType": found.get("mime_type"),
        "timeCreated": found.get("created_time"),
        "timeUpdated": found.get("updated_time"),
    }
    if "gs" in urls:
        bucket, _, key = urls["gs"].removeprefix("gs://").partition("/")
        metadata |= {"gsUri": urls["gs"], "bucket": bucket, "name": key}
    return metadata


class _Handler(BaseHTTPRequestHandler):
    drs_hub: DrsHub

    def log_message(self, *_: Any) -> None:
        return

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        caller = Caller(
            token=self.headers.get("Authorization", "").partition(" ")[2],
            user_project=self.headers.get("x-user-project", ""),
            force_access_url=self.headers.get("drshub-force-access-url", "") == "true",
        )
        try:
            if self.path != PATH or not caller.token:
                raise Failed(404 if self.path != PATH else 401, self.path)
            answer = self.drs_hub.resolve(body["url"], body.get("fields"), caller, body.get("cloudPlatform"))
            self._answer(200, answer)
        except Failed as error:
            self._answer(error.status, {"message": error.message, "statusCode": error.status})

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
