"""The filters of the catalogue: `{field: {relation: [values]}}`, checked, and all of them must hold."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from shared.errors import IllegalArguments
from shared.explore.bundle_metadata import Json
from shared.explore.dates import in_utc
from shared.explore.fields import Field, FieldType
from shared.identifiers import SURROGATE

# Of numbers; Python reads 1e999 as infinite.
_GREATEST = 1e308
_DATE_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
# Different ranges of a field, and values of all filters together: PostgreSQL plans each range by itself, and
# looks up each value.
MOST_RANGES = 10
MOST_VALUES = 10_000


class Relation(Enum):
    """How a document's values relate to those of a filter."""

    IS = "is"
    WITHIN = "within"
    CONTAINS = "contains"
    INTERSECTS = "intersects"


@dataclass(frozen=True)
class Filter:
    """One field, one relation, and the values; for IS any may match, for the others all must."""

    field: Field
    relation: Relation
    values: tuple[Json, ...]


def parse_filters(given: Json, fields: Mapping[str, Field]) -> tuple[Filter, ...]:
    """Return the filters of a parsed JSON object, without values that come twice.

    Raises IllegalArguments, which names the field and the relation, also if there are more than MOST_RANGES
    or MOST_VALUES.
    """
    if not isinstance(given, dict):
        raise IllegalArguments("The `filters` parameter must be a dictionary")
    found = tuple(_filter(name, condition, fields) for name, condition in given.items())
    if sum(len(each.values) for each in found) > MOST_VALUES:
        raise IllegalArguments(f"The `filters` parameter has more than {MOST_VALUES:,} values")
    return found


def _filter(name: str, condition: Any, fields: Mapping[str, Field]) -> Filter:
    if name not in fields:
        raise IllegalArguments(f"Unknown field `{name[:200]}`")
    field = fields[name]
    if not isinstance(condition, dict) or len(condition) != 1:
        raise IllegalArguments(f"The `filters` parameter entry for `{name}` must be a single-item dictionary")
    ((key, values),) = condition.items()
    relation = next((each for each in Relation if each.value == key), None)
    if relation is None:
        known = ", ".join(each.value for each in Relation)
        raise IllegalArguments(
            f"The relation in the filter for `{name}` must be one of {known}, is {key[:200]!r}"
        )
    if not isinstance(values, list):
        raise IllegalArguments(f"The value of the `{key}` relation in the filter for `{name}` is not a list")
    _check_relation(field, relation)
    check = _checks(field, relation)
    checked = (check(field, relation, value) for value in _listed(field, relation, values))
    # Values may be lists and objects, which have no hash.
    distinct = {json.dumps(value, sort_keys=True): value for value in checked}
    if relation is not Relation.IS and len(distinct) > MOST_RANGES:
        raise IllegalArguments(
            f"The `{key}` relation in the filter for `{name}` has more than {MOST_RANGES} ranges"
        )
    return Filter(field, relation, tuple(distinct.values()))


def _check_relation(field: Field, relation: Relation) -> None:
    if relation is Relation.IS:
        return
    allowed = {
        FieldType.RANGE: set(Relation),
        FieldType.NUMBER: {Relation.WITHIN},
        FieldType.DATE: {Relation.WITHIN},
    }.get(field.type, set())
    if relation not in allowed:
        raise IllegalArguments(
            f"The field `{field.name}` can only be filtered by `is`, not by `{relation.value}`"
        )


def _listed(field: Field, relation: Relation, values: list[Json]) -> list[Json]:
    if relation is Relation.IS and field.nested and len(values) != 1:
        raise IllegalArguments(f"The `is` relation in the filter for `{field.name}` needs exactly one object")
    return values


def _checks(field: Field, relation: Relation) -> Any:
    if relation is Relation.IS:
        if field.nested:
            return _nested
        return _single_object if field.type is FieldType.OBJECT else _scalar
    return _range


def _scalar(field: Field, relation: Relation, value: Json) -> Json:
    if field.type is FieldType.RANGE:
        return value if value is None else _range(field, relation, value)
    kinds: dict[FieldType, tuple[type, ...]] = {FieldType.NUMBER: (int, float), FieldType.FLAG: (bool,)}
    expected = kinds.get(field.type, (str,))
    is_flag = isinstance(value, bool)
    if value is not None and (not isinstance(value, expected) or is_flag != (field.type is FieldType.FLAG)):
        raise _wrong(field, relation, value, f"a value of type {field.type.value} or null")
    if (isinstance(value, str) and not _is_storable(value)) or (_is_number(value) and not _is_finite(value)):
        raise _wrong(field, relation, value, "a value that a document can have")
    return _date(field, relation, value) if field.type is FieldType.DATE and value is not None else value


def _single_object(field: Field, relation: Relation, value: Json) -> Json:
    """Check an age: a value and a unit, and nothing else."""
    if value is None:
        return value
    is_age = isinstance(value, dict) and value.keys() == {"value", "unit"}
    if not is_age or not _is_word(value["value"]) or not (value["unit"] is None or _is_word(value["unit"])):
        raise _wrong(field, relation, value, "null or an object with just `value` and `unit`, without spaces")
    return value


def _is_word(value: Json) -> bool:
    return isinstance(value, str) and bool(value) and not any(map(str.isspace, value)) and _is_storable(value)


def _is_storable(text: str) -> bool:
    """Return whether a document can have a text: one without null characters and halves of characters."""
    return "\0" not in text and not SURROGATE.search(text)


def _is_finite(value: Json) -> bool:
    """Return whether a number is one that a document can have, and no infinity."""
    return bool(-_GREATEST <= value <= _GREATEST)


def _nested(field: Field, relation: Relation, value: Json) -> Json:
    known = isinstance(value, dict) and value and value.keys() <= set(field.nested)
    if not known or not all(
        each is None or (isinstance(each, str) and _is_storable(each)) for each in value.values()
    ):
        raise _wrong(
            field, relation, value, f"an object with some of the properties {', '.join(field.nested)}"
        )
    return value


def _range(field: Field, relation: Relation, value: Json) -> Json:
    if relation is Relation.CONTAINS and _is_number(value) and _is_finite(value):
        return [value, value]
    is_pair = isinstance(value, list) and len(value) == 2
    if is_pair and field.type is FieldType.DATE:
        return [_date(field, relation, each) for each in value]
    if not is_pair or not all(_is_number(each) and _is_finite(each) for each in value):
        raise _wrong(field, relation, value, "a pair of numbers, the minimum and the maximum")
    return value


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _date(field: Field, relation: Relation, value: Json) -> str:
    try:
        return in_utc(datetime.strptime(value, _DATE_FORM))
    except (TypeError, ValueError):
        raise _wrong(field, relation, value, "a date such as 2018-10-03T14:41:37.044509Z") from None


def _wrong(field: Field, relation: Relation, value: Json, expected: str) -> IllegalArguments:
    shown = json.dumps(value)[:200]
    return IllegalArguments(
        f"The value {shown} of the `{relation.value}` relation in the filter for `{field.name}` is invalid: "
        f"it must be {expected}"
    )
