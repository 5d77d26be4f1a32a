"""Reads JSON request bodies and validates them against the contract.

Each body schema of the contract is compiled once. A valid body can be stored: it is an object of finite
numbers, 64-bit integers and valid Unicode, nested at most MAX_DEPTH deep, and every property has the type,
form and range that the contract declares. Errors are IllegalArguments; their titles begin with the path of
the invalid value, such as `json_request_body.files[2].uuid`.

Properties that the contract does not declare are accepted: clients of earlier and later contracts send some.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import fastjsonschema

from run.api.parameters import INTEGER_BOUNDS, MAX_TEXT
from shared.errors import IllegalArguments, UnknownSourceSchema
from shared.identifiers import check_file_name, check_uuid, check_version

BODY = "json_request_body"

# More than any query or description needs, and far below Python's recursion limit.
MAX_DEPTH = 100

_LOWEST, _HIGHEST = INTEGER_BOUNDS["int64"]
# RFC 5321: an address has at most 254 characters. RFC 5322: white space could end a mail header early, and
# the other characters could add another address or a comment.
_NOT_IN_AN_EMAIL = r'@\s\x00-\x1f\x7f()<>\[\]:;,\\"'
_EMAIL = re.compile(rf"(?=.{{3,254}}\Z)[^{_NOT_IN_AN_EMAIL}]+@[^{_NOT_IN_AN_EMAIL}]+")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# The error for a value that does not match its pattern, if the contract has a code of its own for it.
_PATTERN_ERRORS: dict[str, type[IllegalArguments]] = {"source_url": UnknownSourceSchema}

_TYPE_NAMES: dict[str, str] = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "object": "an object",
    "string": "text",
}


def _check_email(text: str, name: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise IllegalArguments(f"{name}: {text[:80]!r} is not an e-mail address")
    return text


_FORMATS: dict[str, Callable[[str, str], str]] = {
    "UUID": check_uuid,
    "DSS_VERSION": check_version,
    "DSS_FILE_NAME": check_file_name,
    "email": _check_email,
}


# Bytes of memory of a parsed JSON value, beside its text: of a list, an object, and a member or element (its
# reference, and the value itself, unless it is one of the others). Measured with CPython 3.11.
_MEMORY_OF_LIST, _MEMORY_OF_OBJECT, _MEMORY_OF_ITEM = 80, 250, 70
_WHITE_SPACE = b" \t\r\n"


def memory_of(body: bytes) -> int:
    """Return the bytes of memory that a JSON body takes at most when it is parsed; padding takes none.

    E.g. `[1, {"a": 2}]`: 11 bytes of text, a list, an object, and three items (comma, colon, the last).
    """
    if not body:
        return 0
    items = body.count(b",") + body.count(b":") + 1
    return (
        len(body.translate(None, _WHITE_SPACE))
        + body.count(b"[") * _MEMORY_OF_LIST
        + body.count(b"{") * _MEMORY_OF_OBJECT
        + items * _MEMORY_OF_ITEM
    )


class Body:
    """The request body of one operation."""

    def __init__(self, declared: Mapping[str, Any], definitions: Mapping[str, Any]) -> None:
        """Compile a Swagger body parameter; `definitions` are those of the contract."""
        schema = _json_schema(declared["schema"], definitions)
        formats = {name: _predicate(check) for name, check in _FORMATS.items()}
        self._required: bool = declared.get("required", False)
        self._check = fastjsonschema.compile(
            {"$schema": "http://json-schema.org/draft-04/schema#", **schema}, formats=formats
        )
        self._uuids = [
            (name, key)
            for name, property_ in schema["properties"].items()
            for key, member in property_.get("items", {}).get("properties", {}).items()
            if member.get("format") == "UUID"
        ]

    def read(self, body: bytes | None, content_type: str | None) -> dict[str, Any]:
        """Return the body with its defaults, UUIDs in lower case; {} if it is optional and missing.

        Raise IllegalArguments, IllegalVersion or UnknownSourceSchema. The content type is not checked; it
        only helps to explain a body that is not JSON.
        """
        if body:
            members = _parse(body, content_type)
            _check_storable(members, body)
        elif self._required:
            raise IllegalArguments(f"{BODY}: missing; send a JSON object as the body")
        else:
            members = {}
        try:
            self._check(members)
        except fastjsonschema.JsonSchemaValueException as error:
            _refuse(error)
        for name, key in self._uuids:
            for item in members.get(name, ()):
                item[key] = item[key].lower()
        return members


def _json_schema(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Swagger schema as JSON Schema, with references resolved and number formats as bounds."""
    if "$ref" in schema:
        return _json_schema(definitions[schema["$ref"].removeprefix("#/definitions/")], definitions)
    result = {key: value for key, value in schema.items() if key != "description"}
    for key in ("items", "additionalProperties"):
        if key in schema:
            result[key] = _json_schema(schema[key], definitions)
    if "properties" in schema:
        result["properties"] = {
            name: _json_schema(property_, definitions) for name, property_ in schema["properties"].items()
        }
    if schema.get("type") == "integer":
        lowest, highest = INTEGER_BOUNDS[schema.get("format")]
        result = {"minimum": lowest, "maximum": highest, **result}
    if "pattern" in schema:
        # Some patterns look ahead at every character; this bounds their cost.
        result["maxLength"] = MAX_TEXT
    if schema.get("format") in _FORMATS:
        # The check of a format says what is wrong with a text; the pattern beside it is for clients.
        result = {key: value for key, value in result.items() if key not in ("pattern", "maxLength")}
    return result


def _predicate(check: Callable[[str, str], str]) -> Callable[[str], bool]:
    def holds(text: str) -> bool:
        try:
            check(text, "")
        except IllegalArguments:
            return False
        return True

    return holds


def _parse(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Parse a JSON object. Raise IllegalArguments for anything else."""
    try:
        value = _decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise IllegalArguments(f"{BODY}: not UTF-8, at byte {error.start}") from None
    except RecursionError:
        raise IllegalArguments(f"{BODY}: nested more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as error:
        hint = (
            f" (its content type is {content_type[:80]})"
            if content_type and "json" not in content_type
            else ""
        )
        raise IllegalArguments(
            f"{BODY}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}{hint}"
        ) from None
    except ValueError:
        # Python refuses to convert more than 4,300 digits.
        raise IllegalArguments(f"{BODY}: holds an integer of more than 64 bits") from None
    if not isinstance(value, dict):
        raise IllegalArguments(f"{BODY}: must be an object, not {_shown(value)}")
    return value


def _no_constant(text: str) -> NoReturn:
    raise IllegalArguments(f"{BODY}: {text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise IllegalArguments(f"{BODY}: {text[:80]} is too large a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        repeated = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise IllegalArguments(f"{BODY}: one object has two members {repeated[:80]!r}")
    return members


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant).decode


def _check_storable(members: Mapping[str, Any], body: bytes) -> None:
    """Raise IllegalArguments if a property is nested too deep or holds a value that no store can keep."""
    suspicious = _ESCAPED_SURROGATE.search(body)
    for name, value in members.items():
        path = _path(f".{name}")
        _check_depth_and_integers(value, path)
        if suspicious:
            try:
                json.dumps({name: value}, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise IllegalArguments(f"{path}: holds half a surrogate pair, which is not text") from None


def _check_depth_and_integers(value: Any, path: str) -> None:
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise IllegalArguments(f"{path}: nested more than {MAX_DEPTH} deep")
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
            elif type(item) is int and not _LOWEST <= item <= _HIGHEST:
                raise IllegalArguments(f"{path}: holds an integer of more than 64 bits")
        level = below


def _refuse(error: fastjsonschema.JsonSchemaValueException) -> NoReturn:
    """Raise the contract's error for a broken rule, with the path of the value."""
    path = _path((error.name or "").removeprefix("data"))
    rule, definition = error.rule or "", error.rule_definition
    if rule == "required":
        missing = next(name for name in definition if name not in error.value)
        raise IllegalArguments(f"{path}.{missing}: missing") from None
    if rule == "minItems":
        raise IllegalArguments(f"{path}: has {len(error.value)} items; name at least {definition}") from None
    if rule == "format":
        _FORMATS[definition](error.value, path)
    if rule == "pattern":
        kind = _PATTERN_ERRORS.get(path.rpartition(".")[2], IllegalArguments)
        expected = error.definition.get("x-expected", "of the required form")
        raise kind(f"{path}: {_shown(error.value)} is not {expected}") from None
    raise IllegalArguments(
        f"{path}: must be {_expected(rule, definition)}, not {_shown(error.value)}"
    ) from None


def _expected(rule: str, definition: Any) -> str:
    if rule == "type":
        return _TYPE_NAMES[definition]
    if rule == "enum":
        return f"one of {', '.join(definition)}"
    if rule == "maxLength":
        return f"at most {definition} characters"
    return f"at {'least' if rule == 'minimum' else 'most'} {definition}"


def _path(below_body: str) -> str:
    # Clients choose property names, so they may hold any character.
    return f"{BODY}{below_body if below_body.isprintable() else ascii(below_body)[1:-1]}"[:200]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value[:80])
    return json.dumps(value)[:80]
