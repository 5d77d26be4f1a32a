"""Partial responses: `fields=items(name,size),nextPageToken` selects parts of a JSON answer.

https://cloud.google.com/storage/docs/json_api#partial-response
"""

import re
from typing import Any

from gcs_server.errors import BadRequest

Mask = dict[str, Any]
_TOKEN = re.compile(r"[A-Za-z0-9_.*-]+|[(),/]")


def parse_fields(text: str) -> Mask:
    """Parse a mask: names to the masks below them; an empty mask selects all. Raises BadRequest."""
    tokens = _TOKEN.findall(text.replace(" ", ""))
    if "".join(tokens) != text.replace(" ", ""):
        raise BadRequest(f"Invalid field selection {text}")
    mask = _parse_list(tokens, text)
    if tokens:
        raise BadRequest(f"Invalid field selection {text}")
    return mask


def select(value: Any, mask: Mask) -> Any:
    """Return the selected parts of a value; of a list, those of each entry."""
    if not mask:
        return value
    if isinstance(value, list):
        return [select(entry, mask) for entry in value]
    if not isinstance(value, dict):
        return value
    if "*" in mask:
        return {name: select(entry, mask["*"]) for name, entry in value.items()}
    return {name: select(value[name], below) for name, below in mask.items() if name in value}


def _parse_list(tokens: list[str], text: str) -> Mask:
    mask: Mask = {}
    while True:
        name, below = _parse_path(tokens, text)
        mask[name] = {**mask.get(name, {}), **below}
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _parse_path(tokens: list[str], text: str) -> tuple[str, Mask]:
    if not tokens or tokens[0] in "(),/":
        raise BadRequest(f"Invalid field selection {text}")
    name = tokens.pop(0)
    if tokens and tokens[0] == "/":
        tokens.pop(0)
        below, deeper = _parse_path(tokens, text)
        return name, {below: deeper}
    if tokens and tokens[0] == "(":
        tokens.pop(0)
        mask = _parse_list(tokens, text)
        if not tokens or tokens.pop(0) != ")":
            raise BadRequest(f"Invalid field selection {text}")
        return name, mask
    return name, {}
