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
# Addresses whose reading is remembered.
_MOST_ADDRESSES = 4096


def base_url(settings: Settings) -> str:
    """Return the `scheme://host` by which the client of the current request reached the API."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme, host = request.scheme, request.host
    if is_within(request.remote_addr or "", settings.trusted_proxies):
        forwarded_scheme, forwarded_host = _first("X-Forwarded-Proto"), _first("X-Forwarded-Host")
        scheme = forwarded_scheme if forwarded_scheme in ("http", "https") else scheme
        host = forwarded_host if _HOST.fullmatch(forwarded_host) else host
    return f"{scheme}://{host}"


def client_address(settings: Settings) -> str:
    """Return the address by which the client of the current request counts."""
    return counted_address(exact_address(settings, request.environ))


def exact_address(settings: Settings, environ: Mapping[str, Any]) -> str:
    """Return the IP address of the client of a request, from its WSGI environment."""
    address = environ.get("REMOTE_ADDR") or ""
    if not is_within(address, settings.trusted_proxies):
        return address
    forwarded = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    # Each proxy appends the address that it sees. The last one that is not a proxy of ours is the client's.
    while is_within(address, settings.trusted_proxies) and forwarded and _parsed(forwarded[-1]):
        address = forwarded.pop()
    return address


@lru_cache(_MOST_ADDRESSES)
def counted_address(address: str) -> str:
    """Return an IPv4 address, also one that is written as IPv6; else the network of 64 bits of the address.

    One client may have all addresses of such a network.
    """
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or address)


@lru_cache(_MOST_ADDRESSES)
def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Return whether an address is in one of the networks; text that is no address is in none."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in _networks(networks))


def _first(header: str) -> str:
    """Return the entry that the outermost proxy wrote."""
    return request.headers.get(header, "").partition(",")[0].strip()


@lru_cache
def _networks(texts: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(map(ipaddress.ip_network, texts))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    # A socket for both families shows clients of IPv4 so.
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
