"""Filter and sort executions by `filter` and `order_by` of the Executions API.

Of AIP-160 and AIP-132 only what operators use: comparisons joined by AND, and fields with `desc`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from workflows_server.executions import REVISION, Execution

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_COMPARISON = re.compile(r'\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*("[^"]*"|[^\s"]+)\s*')
_JOIN = re.compile(r"\s+AND\s+")


class InvalidQuery(ValueError):
    """A filter or an order is malformed, or names an unknown field."""


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


# A field: how to get its value from an execution (None if it has none yet), and how to parse it.
_FIELDS: Mapping[str, tuple[Callable[[Execution], Any], Callable[[str], Any]]] = {
    "executionid": (lambda execution: execution.name.rpartition("/")[2], str),
    "state": (lambda execution: execution.state, str),
    "createtime": (lambda execution: execution.start_time, _moment),
    "starttime": (lambda execution: execution.start_time, _moment),
    "endtime": (lambda execution: execution.end_time or None, _moment),
    "duration": (
        lambda execution: execution.end_time - execution.start_time if execution.end_time else None,
        _seconds,
    ),
    "workflowrevisionid": (lambda _: REVISION, str),
}


def select(executions: Iterable[Execution], *, filter_: str, order_by: str) -> list[Execution]:
    """Return the executions that match a filter, sorted, or the newest first. Raises InvalidQuery."""
    conditions = [_condition(text) for text in _JOIN.split(filter_)] if filter_.strip() else []
    selected = [one for one in executions if all(condition(one) for condition in conditions)]
    # The last field first: a sort keeps the order of equals.
    for text in reversed((order_by.strip() or "startTime desc").split(",")):
        name, _, direction = text.strip().partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise InvalidQuery(f"order_by: {text!r}")
        value = _field(name)[0]
        # Executions without a value come last.
        selected.sort(
            key=lambda one: (value(one) is None, value(one) or 0), reverse=direction.strip() == "desc"
        )
    return selected


def _condition(text: str) -> Callable[[Execution], bool]:
    parsed = _COMPARISON.fullmatch(text)
    if not parsed:
        raise InvalidQuery(f"filter: {text!r}")
    value, read = _field(parsed[1])
    try:
        expected = read(parsed[3].strip('"'))
    except ValueError as error:
        raise InvalidQuery(f"filter: {text!r}: {error}") from error
    holds = _OPERATORS[parsed[2]]
    return lambda one: value(one) is not None and holds(value(one), expected)


def _field(name: str) -> tuple[Callable[[Execution], Any], Callable[[str], Any]]:
    try:
        return _FIELDS[name.lower()]
    except KeyError:
        raise InvalidQuery(f"{name!r} is not a field that can be filtered or ordered by") from None
