"""JMESPath expressions of subscribers: check them when they are written, and evaluate them.

`jmespath.py` differs from the specification in one point: a comparison of a number with a string raises an
error, where the specification says null. Here it is null, so that one odd value does not stop a filter:

    [?age > `18`]     of ages 30, "unknown", 12      -> the first
    [?!(age > `18`)]                                 -> the others, because !null is true
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

# People write some hundred characters. The time to compile an expression grows with its length.
_LONGEST_EXPRESSION = 8 * 1024
# Characters of the queries that a process keeps parsed: 10,000 of 80. By RSS a tree takes some 100 bytes for
# each character of usual expressions, and 400 of the densest (`[][]`): 320 MB of the 512 MiB of an evaluator.
# A query of Elasticsearch, of which as many characters are kept, takes 80.
MOST_KEPT = 800_000

_Parsed = TypeVar("_Parsed")


def kept_in_bounds(parse: Callable[[str], _Parsed]) -> Callable[[str], _Parsed]:
    """Return a parser that keeps what it made of the last MOST_KEPT characters of texts. For one thread."""
    kept: OrderedDict[str, _Parsed] = OrderedDict()
    characters = 0

    @wraps(parse)
    def parsed(text: str) -> _Parsed:
        nonlocal characters
        if text in kept:
            kept.move_to_end(text)
            return kept[text]
        # Room first: what is kept and what is made must fit together.
        while kept and characters + len(text) > MOST_KEPT:
            characters -= len(kept.popitem(last=False)[0])
        made = kept[text] = parse(text)
        characters += len(text)
        return made

    return parsed


class _Interpreter(TreeInterpreter):  # type: ignore[misc] # the library has no types
    def visit_comparator(self, node: Any, value: Any) -> Any:
        """Return the value of a comparison: null if its sides cannot be ordered."""
        try:
            return super().visit_comparator(node, value)
        except TypeError:
            return None


def check_expression(expression: str) -> None:
    """Return if an expression is JMESPath and its functions exist and get as many arguments as they need.

    Raises ValueError with the reason, in one line.
    """
    if len(expression) > _LONGEST_EXPRESSION:
        raise ValueError(f"longer than {_LONGEST_EXPRESSION} characters")
    try:
        parsed = jmespath.compile(expression).parsed
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except JMESPathError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    for function, arguments in _calls(parsed):
        _check_call(function, arguments)


def evaluate_expression(expression: str, document: Any) -> Any:
    """Return the value of an expression. Raises JMESPathError, or any error of Python, if it has none."""
    return _Interpreter().visit(parsed_expression(expression), document)


@kept_in_bounds
def parsed_expression(expression: str) -> Any:
    """Return the syntax tree of an expression. Raises as `evaluate_expression`."""
    return jmespath.compile(expression).parsed


def _calls(parsed: Any) -> Iterator[tuple[str, int]]:
    """Yield the function calls in a parsed expression: the name, and the number of arguments."""
    nodes = [parsed]
    while nodes:
        node = nodes.pop()
        if node["type"] == "function_expression":
            yield node["value"], len(node["children"])
        nodes += (child for child in node["children"] if isinstance(child, dict))


def _check_call(function: str, arguments: int) -> None:
    known = Functions.FUNCTION_TABLE.get(function)
    if known is None:
        names = ", ".join(sorted(Functions.FUNCTION_TABLE))
        raise ValueError(f"unknown function {function[:80]}(); JMESPath has {names}")
    needed = len(known["signature"])
    variadic = bool(needed) and bool(known["signature"][-1].get("variadic"))
    if arguments < needed or (arguments > needed and not variadic):
        at_least = "at least " if variadic else ""
        raise ValueError(f"{function}() needs {at_least}{needed} argument(s), and has {arguments}")
