"""Reads JSON request bodies, and checks them against the contract.

Each body schema of the contract is compiled once. What passes can be stored: it is an object of finite
numbers, integers of 64 bits and valid Unicode, nested MAX_DEPTH deep at most, with every property of the
type, form and range that the contract gives it. Every refusal is an IllegalArguments whose title begins with
the path of what is wrong, such as `json_request_body.files[2].uuid`.

Properties that the contract does not name are let through: clients of later contracts, and of earlier ones,
send some.
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
from shared.identifiers import check_uuid, check_version

BODY = "json_request_body"

# Generous for any query or description, and far from where Python's own recursion ends.
MAX_DEPTH = 100

_LOWEST, _HIGHEST = INTEGER_BOUNDS["int64"]
# RFC 5321: an address is at most 254 characters. RFC 5322: white space could end a mail header early, and
# with the other characters a header could hold another address, or words.
_NO_PART_OF_AN_EMAIL = r'@\s\x00-\x1f\x7f()<>\[\]:;,\\"'
_EMAIL = re.compile(rf"(?=.{{3,254}}\Z)[^{_NO_PART_OF_AN_EMAIL}]+@[^{_NO_PART_OF_AN_EMAIL}]+")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

# What contradicts a pattern is illegal_arguments, except where the contract has a word of its own for it.
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
    "email": _check_email,
}


class Body:
    """The body that one operation takes."""

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
        """Return the body with defaults filled in and UUIDs in lower case; {} for one that may be left out.

        Raises IllegalArguments, IllegalVersion or UnknownSourceSchema. The content type is not checked, it
        only helps to explain a body that is no JSON.
        """
        if body:
            members = _parse(body, content_type)
            _check_storable(members, body)
        elif self._required:
            raise IllegalArguments(f"{BODY}: missing; this operation needs a JSON object as its body")
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
    """Return a Swagger schema as JSON Schema: references resolved, the bounds of number formats spelt out."""
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
        # Some patterns look around at every character; this bounds what they cost.
        result["maxLength"] = MAX_TEXT
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
    """Return the JSON object that the bytes are. Raises IllegalArguments for anything else."""
    try:
        value = _decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise IllegalArguments(f"{BODY}: not UTF-8, at byte {error.start}") from None
    except RecursionError:
        raise IllegalArguments(f"{BODY}: nested more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as error:
        said = f" (it came as {content_type[:80]})" if content_type and "json" not in content_type else ""
        raise IllegalArguments(
            f"{BODY}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}{said}"
        ) from None
    except ValueError:
        # Python: text of more than 4,300 digits is not converted.
        raise IllegalArguments(f"{BODY}: holds an integer of more than 64 bits") from None
    if not isinstance(value, dict):
        raise IllegalArguments(f"{BODY}: must be an object, not {_shown(value)}")
    return value


def _no_constant(text: str) -> NoReturn:
    raise IllegalArguments(f"{BODY}: {text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise IllegalArguments(f"{BODY}: {text[:80]} is too large a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise IllegalArguments(f"{BODY}: {twice[:80]!r} stands twice in one object")
    return members


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant).decode


def _check_storable(members: Mapping[str, Any], body: bytes) -> None:
    """Raise IllegalArguments where a property is nested too deep or holds what no store can keep."""
    suspicious = _ESCAPED_SURROGATE.search(body)
    for name, value in members.items():
        where = _path(f".{name}")
        _check_depth_and_integers(value, where)
        if suspicious:
            try:
                json.dumps({name: value}, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise IllegalArguments(f"{where}: holds half a surrogate pair, which is no text") from None


def _check_depth_and_integers(value: Any, where: str) -> None:
    level = [value]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise IllegalArguments(f"{where}: nested more than {MAX_DEPTH} deep")
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
            elif type(item) is int and not _LOWEST <= item <= _HIGHEST:
                raise IllegalArguments(f"{where}: holds an integer of more than 64 bits")
        level = below


def _refuse(error: fastjsonschema.JsonSchemaValueException) -> NoReturn:
    """Raise what the contract says for a broken rule, naming the path of the value."""
    path = _path((error.name or "").removeprefix("data"))
    rule, wanted = error.rule or "", error.rule_definition
    if rule == "required":
        missing = next(name for name in wanted if name not in error.value)
        raise IllegalArguments(f"{path}.{missing}: missing") from None
    if rule == "format":
        _FORMATS[wanted](error.value, path)
    if rule == "pattern":
        kind = _PATTERN_ERRORS.get(path.rpartition(".")[2], IllegalArguments)
        raise kind(f"{path}: {_shown(error.value)} does not have the form {wanted}") from None
    raise IllegalArguments(f"{path}: must be {_wish(rule, wanted)}, not {_shown(error.value)}") from None


def _wish(rule: str, wanted: Any) -> str:
    if rule == "type":
        return _TYPE_NAMES[wanted]
    if rule == "enum":
        return f"one of {', '.join(wanted)}"
    if rule == "maxLength":
        return f"at most {wanted} characters"
    return f"at {'least' if rule == 'minimum' else 'most'} {wanted}"


def _path(below_body: str) -> str:
    # Property names are the client's, and may hold anything.
    return f"{BODY}{below_body if below_body.isprintable() else ascii(below_body)[1:-1]}"[:200]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value[:80])
    return json.dumps(value)[:80]
