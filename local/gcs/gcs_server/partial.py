"""Partial responses: `fields=items(name,size),nextPageToken` cuts a JSON answer down to what is asked.

https://cloud.google.com/storage/docs/json_api#partial-response
"""

import re
from typing import Any

from gcs_server.errors import BadRequest

Mask = dict[str, Any]
_TOKEN = re.compile(r"[A-Za-z0-9_.*-]+|[(),/]")


def parse_fields(text: str) -> Mask:
    """The mask: names to masks of what is below them, an empty one for all; raises BadRequest."""
    tokens = _TOKEN.findall(text.replace(" ", ""))
    if "".join(tokens) != text.replace(" ", ""):
        raise BadRequest(f"Invalid field selection {text}")
    mask = _parse_list(tokens, text)
    if tokens:
        raise BadRequest(f"Invalid field selection {text}")
    return mask


def select(value: Any, mask: Mask) -> Any:
    """What of the value the mask shows; of a list, what it shows of each."""
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
