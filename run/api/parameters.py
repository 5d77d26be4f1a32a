"""Parses path and query parameters into values of the types that the contract declares.

Each parameter of the contract is compiled once into a `Parameter`, so a request costs one look-up and one
call for each. Errors are IllegalArguments whose titles begin with the parameter's name.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import IllegalArguments
from shared.identifiers import check_uuid, check_version

# More than any parameter needs; many proxies refuse URLs of more than 8 KiB.
MAX_TEXT = 4096

INTEGER_BOUNDS = {
    # JSON Schema and Swagger: an integer without a format has no bounds. Firestore stores 64 bits.
    None: (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}

# C0 and C1 control characters, and halves of surrogate pairs, which UTF-8 cannot encode.
_FORBIDDEN_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# int() also accepts "1_000", " 5 ", "+5" and digits of other scripts.
_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
# Python clients send str(True).
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

Reader = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One path or query parameter; `read` parses its value, or raises IllegalArguments with its name."""

    name: str
    required: bool
    default: Any
    read: Reader
    expected: str

    def missing(self) -> IllegalArguments:
        """Return the error for a request without this required parameter."""
        return IllegalArguments(f"{self.name}: missing; it must be {self.expected}")


def compile_parameter(declared: Mapping[str, Any]) -> Parameter:
    """Compile a Swagger parameter object.

    `uuid` and `version` are parsed as such by their names: the contract does not declare all their formats.
    """
    name = declared["name"]
    read, expected = _reader(name, declared)
    return Parameter(name, declared.get("required", False), declared.get("default"), read, expected)


def _reader(name: str, declared: Mapping[str, Any]) -> tuple[Reader, str]:
    kind, form = declared["type"], declared.get("format")
    if form == "UUID" or name == "uuid":
        return lambda text: check_uuid(text, name), "a UUID"
    if form == "DSS_VERSION" or name == "version":
        return lambda text: check_version(text, name), "a UTC time as YYYY-MM-DDTHHMMSS.ffffffZ"
    if kind == "integer":
        return _integers(name, declared)
    if kind == "boolean":
        return _booleans(name)
    if "enum" in declared:
        return _words(name, declared["enum"])
    return _texts(name, declared.get("pattern"), declared.get("x-expected", "text of the required form"))


def _integers(name: str, declared: Mapping[str, Any]) -> tuple[Reader, str]:
    widest = INTEGER_BOUNDS[declared.get("format")]
    lowest, highest = declared.get("minimum", widest[0]), declared.get("maximum", widest[1])
    expected = f"an integer from {lowest} to {highest}"

    def read(text: str) -> int:
        if _INTEGER.fullmatch(text) and lowest <= (value := int(text)) <= highest:
            return value
        raise IllegalArguments(f"{name}: {text[:80]!r} is not {expected}")

    return read, expected


def _booleans(name: str) -> tuple[Reader, str]:
    def read(text: str) -> bool:
        try:
            return _BOOLEANS[text.lower()]
        except KeyError:
            raise IllegalArguments(f"{name}: {text[:80]!r} is neither true nor false") from None

    return read, "true or false"


def _words(name: str, words: list[str]) -> tuple[Reader, str]:
    allowed = frozenset(words)
    expected = f"one of {', '.join(words)}"

    def read(text: str) -> str:
        if text in allowed:
            return text
        raise IllegalArguments(f"{name}: {text[:80]!r} is not {expected}")

    return read, expected


def _texts(name: str, pattern: str | None, form: str) -> tuple[Reader, str]:
    compiled = re.compile(pattern) if pattern else None
    expected = form if pattern else "text"

    def read(text: str) -> str:
        if len(text) > MAX_TEXT:
            raise IllegalArguments(f"{name}: longer than {MAX_TEXT} characters")
        if _FORBIDDEN_CHARACTER.search(text):
            raise IllegalArguments(f"{name}: {text[:80]!r} holds a control character")
        if compiled and not compiled.search(text):
            raise IllegalArguments(f"{name}: {text[:80]!r} is not {expected}")
        return text

    return read, expected
