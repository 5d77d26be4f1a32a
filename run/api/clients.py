"""Clients: the address of each, and the URL by which it reaches the API, also behind proxies.

`X-Forwarded-*` counts only if the connection comes from a proxy of DSS_TRUSTED_PROXIES: anybody may send it.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from flask import request

from shared.config import Settings

_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def base_url(settings: Settings) -> str:
    """Return the `scheme://host` by which the client of the current request reached the API."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme, host = request.scheme, request.host
    if _is_trusted(settings, request.remote_addr or ""):
        forwarded_scheme, forwarded_host = _first("X-Forwarded-Proto"), _first("X-Forwarded-Host")
        scheme = forwarded_scheme if forwarded_scheme in ("http", "https") else scheme
        host = forwarded_host if _HOST.fullmatch(forwarded_host) else host
    return f"{scheme}://{host}"


def client_address(settings: Settings) -> str:
    """Return the IP address of the client of the current request; of IPv6 its network of 64 bits."""
    address = exact_address(settings, request.environ)
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def exact_address(settings: Settings, environ: Mapping[str, Any]) -> str:
    """Return the IP address of the client of a request, from its WSGI environment."""
    address = environ.get("REMOTE_ADDR") or ""
    forwarded = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    # Each proxy appends the address that it sees. The last one that is not a proxy of ours is the client's.
    while _is_trusted(settings, address) and forwarded and _parsed(forwarded[-1]):
        address = forwarded.pop()
    return address


def _first(header: str) -> str:
    """Return the entry that the outermost proxy wrote."""
    return request.headers.get(header, "").partition(",")[0].strip()


def _is_trusted(settings: Settings, address: str) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in _networks(settings.trusted_proxies))


@lru_cache
def _networks(texts: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
