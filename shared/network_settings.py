"""Checks of settings that name networks and origins."""

import ipaddress
import re

# As browsers send it: in lower case, without a path.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def check_origins(origins: tuple[str, ...]) -> None:
    """Raise ValueError, which names it, if one is no origin; `*` and `none` stand alone."""
    alone = origins in (("*",), ("none",))
    for origin in () if alone else origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"DSS_CORS_ORIGINS: {origin!r} is no origin, as https://a.example; `*` stands alone"
            )


def check_networks(name: str, networks: tuple[str, ...]) -> None:
    """Raise ValueError, which names the setting, if one is no network of IP addresses."""
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
