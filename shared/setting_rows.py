"""Rows of settings that are JSON lists of objects, checked against the fields of a dataclass."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from shared.issuer_settings import is_secure

# Members that have the same meaning in all rows; all others are texts.
_URLS = ("issuer", "jwks_url")
_LISTS: Mapping[str, Any] = {"audiences": tuple, "groups": frozenset, "by": frozenset}


def rows_of(name: str, parsed: Any) -> Iterable[tuple[str, Any]]:
    """Return the rows of a setting, each with its path. Raise ValueError if it is no list."""
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: must be a JSON list")
    return [(f"{name}[{number}]", members) for number, members in enumerate(parsed)]


def checked_row(path: str, members: Any, kind: type, needed: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of a dataclass that a row has. Raise ValueError, which names the member."""
    known = [row.name for row in fields(kind)]
    if not isinstance(members, dict):
        raise ValueError(f"{path}: must be a JSON object with {', '.join(known)}")
    for member, value in members.items():
        if member not in known:
            raise ValueError(f"{path}.{member}: unknown; there are {', '.join(known)}")
        _check_member(f"{path}.{member}", member, value)
    for member in needed:
        if not members.get(member):
            raise ValueError(f"{path}.{member}: missing")
    return {member: _LISTS.get(member, str)(value) for member, value in members.items()}


def _check_member(path: str, member: str, value: Any) -> None:
    if member in _LISTS:
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ValueError(f"{path}: must be a list of strings")
    elif not isinstance(value, str):
        raise ValueError(f"{path}: must be a string")
    elif member in _URLS and value and not is_secure(value):
        raise ValueError(f"{path}: must be a URL that begins with https://")
