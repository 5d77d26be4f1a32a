"""JSON files and NAME=VALUE pairs that commands take as options."""

import json
from pathlib import Path
from typing import Any, TextIO

from dss.errors import InvalidInput


def json_in(file: TextIO) -> Any:
    """Return the JSON in a file. Raises InvalidInput, which names the file."""
    try:
        return json.load(file)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name_of(file)} is not JSON: {error}") from error


def object_in(file: TextIO) -> dict[str, Any]:
    """Return the JSON object in a file. Raises InvalidInput, which names the file."""
    content = json_in(file)
    if not isinstance(content, dict):
        raise InvalidInput(f"{name_of(file)} must be a JSON object")
    return content


def name_of(file: TextIO) -> str:
    """Return a file's name without its directory."""
    return Path(file.name).name


def pairs_of(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """Return the values of NAME=VALUE texts by name. Raises InvalidInput, which names the option."""
    pairs = [text.partition("=") for text in texts]
    if not all(equals and name for name, equals, _ in pairs):
        raise InvalidInput(f"{option}: give NAME=VALUE")
    return {name: value for name, _, value in pairs}
