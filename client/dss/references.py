"""The ways to name a file, bundle or collection: ids, `drs://` and `dss://` URIs, and URLs of a DSS::

    UUID                                    its newest version
    UUID.VERSION                            one version
    UUID.VERSION/NAME                       a file of a bundle
    dss://UUID.VERSION/NAME                 the same
    drs://HOST/UUID.VERSION                 as GA4GH DRS writes it
    https://HOST/browse/bundles/UUID.VERSION         its page; also files and collections
    https://HOST/v1/bundles/UUID?version=VERSION     its address in the API; also files and collections
    https://HOST/ga4gh/drs/v1/objects/UUID.VERSION   its address in DRS

The version may always be left out. HOST may have a port.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from dss.errors import InvalidInput
from dss.identifiers import check_uuid, check_version

Kind = Literal["file", "bundle", "collection"]

_KINDS: dict[str, Kind | None] = {
    "files": "file",
    "bundles": "bundle",
    "collections": "collection",
    "objects": None,
}
_ID = re.compile(r"(?P<uuid>[0-9a-fA-F-]{36})(?:\.(?P<version>[^/]+))?(?:/(?P<name>.*))?", re.DOTALL)
_PATH = re.compile(
    r"(?:/.*)?/(?:(?P<api>v1)/(?=[bcf])|browse/(?=[bcf])|ga4gh/drs/v1/(?=o))"
    r"(?P<kind>files|bundles|collections|objects)/(?P<id>.+)",
    re.DOTALL,
)
# One host with and without TLS is one DSS: drs:// has no other port, and http:// is redirected.
_DEFAULT_PORTS = frozenset({None, 80, 443})
# All are this machine.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A UUID, a version, and the longest name of a file in percent-encoded form, with space for the host.
_MAX_CHARACTERS = 4096


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An object by its UUID: its newest version if `version` is None.

    `name` is the name of a file in a bundle, exactly as the bundle has it. `kind` and `host`, the HOST or
    HOST:PORT of a DSS, are None if the text did not say.
    """

    uuid: str
    version: str | None = None
    name: str | None = None
    kind: Kind | None = None
    host: str | None = None

    @property
    def fqid(self) -> str:
        """UUID.VERSION, or the UUID alone if it names the newest version."""
        return f"{self.uuid}.{self.version}" if self.version else self.uuid

    def __str__(self) -> str:
        """Return the shortest text that `parse` takes for the same object."""
        return self.fqid if self.name is None else f"{self.fqid}/{self.name}"


def parse(text: str, version: str | None = None) -> Reference:
    """Return what a text names, in any of the forms above; `version` is one that was given beside it.

    Raises InvalidInput if the text has another form, or names another version than `version`.
    """
    # A name may end with a space, but no name has a line's end.
    text = text.lstrip().rstrip("\r\n")
    scheme, separator, rest = text.partition("://")
    if len(text) > _MAX_CHARACTERS:
        raise _unknown(text)
    if not separator or scheme.lower() == "dss":
        found = _of_id(rest if separator else text, text)
    elif scheme.lower() == "drs":
        host, _, object_id = rest.partition("/")
        found = replace(_of_id(unquote(object_id), text), host=_host_of(f"drs://{host}", text))
    elif scheme.lower() in ("http", "https"):
        found = _of_url(text)
    else:
        raise _unknown(text)
    return _with_version(found, version, text)


def resolve(
    text: str, version: str | None = None, *, url: str, kind: Kind = "bundle", named: bool = False
) -> Reference:
    """Return what a text names on the DSS at `url`, as an object of this kind.

    `named` is whether the name of a file in the bundle may follow. Raises InvalidInput as `parse` does, and
    if the text names an object of another DSS or kind, or a file of a bundle without `named`.
    """
    found = parse(text, version)
    if found.kind not in (None, kind):
        raise InvalidInput(f"{_short(text)} names a {found.kind}; give a {kind}")
    here = urlsplit(url).netloc
    if found.host and _address(found.host) != _address(here):
        raise InvalidInput(
            f"{_short(text)} is on another DSS, {found.host}, than the one in use, {here}; "
            f"use that one (--url https://{found.host}), or give {found.fqid} to look for it here"
        )
    if found.name is not None and not named:
        raise InvalidInput(f"{_short(text)} names a file of a bundle; give a {kind}: {found.fqid}")
    return replace(found, kind=kind)


def drs_host(url: str) -> str:
    """Return the HOST or HOST:PORT in `drs://` URIs of the DSS at `url`: no password, no port of https."""
    return urlsplit(url).netloc.rpartition("@")[2].lower().removesuffix(":443")


def drs_uri(host: str, uuid: str, version: str) -> str:
    """Return the `drs://` URI of an object version; `host` is as `drs_host` returns it."""
    return f"drs://{host}/{uuid}.{version}"


def _of_id(object_id: str, text: str) -> Reference:
    match = _ID.fullmatch(object_id)
    if not match:
        raise _unknown(text)
    try:
        uuid = check_uuid(match["uuid"])
    except InvalidInput as error:
        raise _unknown(text) from error
    version = check_version(match["version"]) if match["version"] else None
    # `UUID/` names the bundle.
    return Reference(uuid=uuid, version=version, name=match["name"] or None)


def _of_url(text: str) -> Reference:
    parts = _split(text, text)
    match = _PATH.fullmatch(parts.path)
    if not match:
        raise _unknown(text)
    found = _of_id(unquote(match["id"]), text)
    if found.name is not None and match["api"]:
        raise _unknown(text)
    versions = parse_qs(parts.query).get("version", [None])
    found = replace(found, kind=_KINDS[match["kind"]], host=_host_of(text, text))
    return _with_version(found, versions[0], text)


def _with_version(found: Reference, version: str | None, text: str) -> Reference:
    if version is None:
        return found
    version = check_version(version)
    if found.version not in (None, version):
        raise InvalidInput(f"{_short(text)} names another version than {version}; give one of them")
    return replace(found, version=version)


def _split(url: str, text: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # A port that is no number is found when it is used.
        if not parts.hostname or (parts.port is not None and parts.port < 1):
            raise _unknown(text)
    except ValueError as error:
        raise _unknown(text) from error
    return parts


def _host_of(url: str, text: str) -> str:
    parts = _split(url, text)
    # Names and passwords before an @ are no part of it.
    return parts.netloc.rpartition("@")[2].lower()


def _address(netloc: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{netloc}")
    host = (parts.hostname or "").rstrip(".")
    port = None if parts.port in _DEFAULT_PORTS else parts.port
    return "localhost" if host in _LOOPBACK else host, port


def _short(text: str) -> str:
    return repr(text.strip()[:120])


def _unknown(text: str) -> InvalidInput:
    return InvalidInput(
        f"{_short(text)} names no object of a DSS; give UUID, UUID.VERSION, dss://UUID.VERSION, "
        "drs://HOST/UUID.VERSION, or the URL of its page"
    )
