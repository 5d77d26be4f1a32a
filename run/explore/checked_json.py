"""JSON in parameters: what a database can compare, and nothing else."""

import re
from typing import Any

from run.api.bodies import BODY, Body
from shared.errors import IllegalArguments

# The body of a request is read as strictly: finite numbers, 64-bit integers, valid Unicode, bounded depth.
_OBJECT = Body({"required": True, "schema": {"type": "object", "properties": {}}}, {})
_MEMBER = "value"
_NULL_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def checked_json(text: str, complaint: str) -> Any:
    """Return the value of a JSON text. Raises IllegalArguments, with the complaint and what is wrong."""
    try:
        value = _OBJECT.read(f'{{"{_MEMBER}": {text}}}'.encode(), None)
    except UnicodeEncodeError:
        raise IllegalArguments(f"{complaint}: holds half a surrogate pair") from None
    except IllegalArguments as error:
        reason = error.title.removeprefix(BODY).removeprefix(f".{_MEMBER}").removeprefix(": ")
        raise IllegalArguments(f"{complaint}: {reason}") from None
    if _NULL_CHARACTER.search(text):
        raise IllegalArguments(f"{complaint}: holds a null character")
    # Such as `1, "more": 2`.
    if len(value) != 1:
        raise IllegalArguments(complaint)
    return value[_MEMBER]
