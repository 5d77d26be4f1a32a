"""The filters of a catalogue: from what people write to `{field: {relation: [values]}}`."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from dss.errors import InvalidInput
from dss.identifiers import UTC, date_of

Condition = dict[str, list[Any]]

RELATIONS = ("is", "within", "contains", "intersects")
_FILTER = re.compile(r"(?P<field>\w+)(?P<is_json>:?)=(?P<values>.+)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_BARE_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_CONSTANTS: Mapping[str, Any] = {"null": None, "true": True, "false": False}
# What a range ends with that has no such end.
_LEAST, _GREATEST = -1e308, 1e308
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)

# The help text of `--filter`, for commands that have it.
SYNTAX = """\
A filter is FIELD=VALUE; all filters must hold.

\b
  organ=brain                        the value, in this case
  'fileFormat=fastq.gz|bam'          one of several values
  'organ=brain|null'                 brain, or no value; also true, false
  fileSize=1000..2000                numbers in a range; 1000.. and ..2000, too
  submissionDate=2019-01-01..        dates, or dates and times, in a range
  'fileSize:=3042'                   after := JSON: a value, a list of values,
  'organismAgeRange:={"intersects": [[0, 3e8]]}'      or a relation with values
"""


def parse_filters(texts: Iterable[str]) -> dict[str, Condition]:
    """Return the filters of a command line, in the form of `SYNTAX`.

    Raises InvalidInput, which quotes the filter that is wrong.
    """
    found: dict[str, Condition] = {}
    for text in texts:
        match = _FILTER.fullmatch(text)
        if match is None:
            raise InvalidInput(f"the filter {text!r} is not FIELD=VALUE")
        name, values = match["field"], match["values"]
        if name in found:
            raise InvalidInput(f"{name} is filtered twice; give all values at once: '{name}=VALUE|VALUE'")
        found[name] = condition(_parsed(text, values)) if match["is_json"] else _condition_of(values)
    return found


def condition(value: Any) -> Condition:
    """Return the condition of a value, of a list of values, or of one relation with its values."""
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in RELATIONS:
        ((relation, values),) = value.items()
        return {relation: list(values) if isinstance(values, list | tuple | set) else [values]}
    if isinstance(value, list | tuple | set | frozenset):
        return {"is": list(value)}
    return {"is": [value]}


def _parsed(text: str, values: str) -> Any:
    try:
        return json.loads(values)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the filter {text!r} has no JSON after `:=`: {error}") from None


def _condition_of(text: str) -> Condition:
    within = _range(text)
    if within is not None:
        return {"within": [within]}
    return {"is": [_CONSTANTS.get(each, each) for each in text.split("|")]}


def _range(text: str) -> list[Any] | None:
    """Return the ends of a range of numbers or dates; None if the text is something else."""
    low, dots, high = text.partition("..")
    ends = [end for end in (low, high) if end]
    if not dots or not ends:
        return None
    if all(map(_NUMBER.fullmatch, ends)):
        return [_number(low) if low else _LEAST, _number(high) if high else _GREATEST]
    try:
        first = date_of(low) if low else _FIRST
        last = _end_of(high) if high else _LAST
    except InvalidInput:
        return None
    return [_date_text(first), _date_text(last)]


def _end_of(text: str) -> datetime:
    moment = date_of(text)
    # A day includes all of its hours.
    return moment + _DAY - _MICROSECOND if _BARE_DATE.fullmatch(text) else moment


def _number(text: str) -> float:
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _date_text(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
