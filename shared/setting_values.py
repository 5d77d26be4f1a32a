"""The values of settings: what a text of the environment stands for, by the type of the setting."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.bucket_rules import BucketRule, parse_rules
from shared.explore.settings import CatalogueSetting, parse_catalogues
from shared.issuer_settings import IssuerSetting, issuers_of
from shared.sign_in_settings import SignInClient, sign_in_clients_of
from shared.visa_settings import PassportIssuer, VisaGrant, passport_issuers_of, visa_grants_of

# Replica names are in queries of the API, documents of the catalog, and attributes of messages.
_REPLICA_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, kw_only=True)
class ReplicaSetting:
    """A replica to open; `options` are those of its type of store, see `STORES` in `shared/wiring.py`."""

    name: str
    scheme: str
    bucket: str
    checkout_bucket: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CacheCriterion:
    """Files of a content type, of at most `max_size` bytes."""

    type: str
    max_size: int


def parse_value(kind: Any, name: str, text: str) -> Any:
    """Return the value of the setting `name`, of the type `kind` of its field, that a text stands for.

    Raise ValueError, which names the setting and the part of it, if the text is malformed.
    """
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(f"{name}: {text!r} is neither true nor false")
        return text.lower() in ("true", "1")
    if kind is int:
        if not text.isascii() or not text.isdigit():
            raise ValueError(f"{name}: {text!r} is not a whole number")
        return int(text)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind == dict[str, Any]:
        parsed = _json(name, text)
        if not isinstance(parsed, dict):
            raise ValueError(f"{name}: must be a JSON object")
        return parsed
    if kind in _PARSERS:
        return _PARSERS[kind](name, _json(name, text))
    return text


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: not JSON: {error}") from error


def _cache_criteria(name: str, parsed: Any) -> tuple[CacheCriterion, ...]:
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: must be a JSON list")
    for number, members in enumerate(parsed):
        known = {"type": str, "max_size": int}
        if not isinstance(members, dict) or {key: type(value) for key, value in members.items()} != known:
            raise ValueError(
                f"{name}[{number}]: must have `type`, a string, and `max_size`, a number of bytes"
            )
    return tuple(CacheCriterion(**members) for members in parsed)


def _extra_replicas(name: str, parsed: Any) -> tuple[ReplicaSetting, ...]:
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: must be a JSON list")
    names = {"gcp", "aws"}
    replicas = []
    for number, members in enumerate(parsed):
        path = f"{name}[{number}]"
        if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
            raise ValueError(f"{path}: must be a JSON object whose values are strings")
        own = {key: members.pop(key, "") for key in ("name", "scheme", "bucket", "checkout_bucket")}
        missing = [key for key, value in own.items() if not value]
        if missing:
            raise ValueError(f"{path}.{missing[0]}: missing")
        if own["name"] in names or not _REPLICA_NAME.fullmatch(own["name"]):
            raise ValueError(f"{path}.name: {own['name']!r} is in use, or is not of the form [a-z][a-z0-9-]*")
        names.add(own["name"])
        replicas.append(ReplicaSetting(**own, options=members))
    return tuple(replicas)


# Of the settings that are lists of objects.
_PARSERS: Mapping[Any, Callable[[str, Any], Any]] = {
    tuple[ReplicaSetting, ...]: _extra_replicas,
    tuple[CacheCriterion, ...]: _cache_criteria,
    tuple[BucketRule, ...]: parse_rules,
    tuple[IssuerSetting, ...]: issuers_of,
    tuple[CatalogueSetting, ...]: parse_catalogues,
    tuple[SignInClient, ...]: sign_in_clients_of,
    tuple[PassportIssuer, ...]: passport_issuers_of,
    tuple[VisaGrant, ...]: visa_grants_of,
}
