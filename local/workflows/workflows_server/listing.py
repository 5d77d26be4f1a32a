"""Which executions a list has, and in which order: `filter` and `order_by` of the Executions API.

Of AIP-160 and AIP-132 what operators use: comparisons joined by AND, and fields with `desc`.
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


class NotUnderstood(ValueError):
    """A filter or an order is none that is known here."""


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


# A field: its value in an execution (None where there is none yet), and that of a text.
_FIELDS: Mapping[str, tuple[Callable[[Execution], Any], Callable[[str], Any]]] = {
    "executionid": (lambda one: one.name.rpartition("/")[2], str),
    "state": (lambda one: one.state, str),
    "createtime": (lambda one: one.start_time, _moment),
    "starttime": (lambda one: one.start_time, _moment),
    "endtime": (lambda one: one.end_time or None, _moment),
    "duration": (lambda one: one.end_time - one.start_time if one.end_time else None, _seconds),
    "workflowrevisionid": (lambda _: REVISION, str),
}


def chosen(executions: Iterable[Execution], *, filter_: str, order_by: str) -> list[Execution]:
    """Return those that a filter lets through, in order, or the newest first. Raises NotUnderstood."""
    conditions = [_condition(text) for text in _JOIN.split(filter_)] if filter_.strip() else []
    found = [one for one in executions if all(condition(one) for condition in conditions)]
    # The last field first: sorting keeps the order of equals.
    for text in reversed((order_by.strip() or "startTime desc").split(",")):
        name, _, direction = text.strip().partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise NotUnderstood(f"order_by: {text!r}")
        value = _field(name)[0]
        # What has not ended yet comes last.
        found.sort(key=lambda one: (value(one) is None, value(one) or 0), reverse=direction.strip() == "desc")
    return found


def _condition(text: str) -> Callable[[Execution], bool]:
    parsed = _COMPARISON.fullmatch(text)
    if not parsed:
        raise NotUnderstood(f"filter: {text!r}")
    value, read = _field(parsed[1])
    try:
        wanted = read(parsed[3].strip('"'))
    except ValueError as error:
        raise NotUnderstood(f"filter: {text!r}: {error}") from error
    holds = _OPERATORS[parsed[2]]
    return lambda one: value(one) is not None and holds(value(one), wanted)


def _field(name: str) -> tuple[Callable[[Execution], Any], Callable[[str], Any]]:
    try:
        return _FIELDS[name.lower()]
    except KeyError:
        raise NotUnderstood(f"{name!r} is no field of an execution that is known here") from None
