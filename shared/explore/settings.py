"""The configuration of catalogues."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

# Names are in URLs, and in names of files.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
# The beginning of a UUID.
UUID_PREFIX = re.compile(r"[0-9a-f-]{0,36}")


@dataclass(frozen=True, kw_only=True)
class CatalogueSetting:
    """The configuration of a catalogue: its plug-in with options, and of which bundles it is.

    `prefix` is that of the UUIDs of its bundles; a prefix makes a catalogue of a fraction of a store.
    """

    name: str
    plugin: str
    replica: str = "gcp"
    prefix: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def parse_catalogues(name: str, parsed: Any) -> tuple[CatalogueSetting, ...]:
    """Return the catalogues of a JSON list. Raises ValueError, which names the setting and the part of it."""
    if not isinstance(parsed, list):
        raise ValueError(f"{name}: must be a JSON list")
    found = tuple(_catalogue(f"{name}[{number}]", members) for number, members in enumerate(parsed))
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise ValueError(f"{name}: two catalogues have the same name")
    return found


def _catalogue(name: str, members: Any) -> CatalogueSetting:
    known = {each.name for each in fields(CatalogueSetting)}
    if not isinstance(members, dict) or not {"name", "plugin"} <= members.keys() <= known:
        raise ValueError(f"{name}: must have `name` and `plugin`, and may have {', '.join(sorted(known))}")
    options = members.get("options", {})
    texts = {key: value for key, value in members.items() if key != "options"}
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in texts.values()):
        raise ValueError(f"{name}: `options` must be an object, all others strings")
    setting = CatalogueSetting(**members)
    if not _NAME.fullmatch(setting.name):
        raise ValueError(f"{name}: the name {setting.name!r} must be lower-case letters, digits, - and _")
    if not UUID_PREFIX.fullmatch(setting.prefix):
        raise ValueError(f"{name}: the prefix {setting.prefix!r} is no beginning of a UUID")
    return setting
