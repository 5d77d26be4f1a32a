"""The evaluator process: evaluate subscribers' queries. Run as `python -m shared.webhooks.evaluator`.

Expressions are other people's programs. JMESPath has neither loops nor recursion, and yet an expression of
some hundred characters can double a list forty times. So they run in a process whose time and memory are
bounded, and which can be killed at any time; see `shared.webhooks.evaluation`.

Standard input is a line of JSON, `{"size": …, "budgets": …, "requests": [EvaluationRequest, …]}`, followed by
a metadata document of `size` bytes; `budgets` has the seconds of processor time that the requests of each
owner may take in all. Standard output is an empty line when the process is ready, another one when the
document is parsed, and then one line of JSON, an EvaluationResult, for each request in order. Before the
attachments of a request that matches are evaluated, there is the line `true`: they may end the process, and
it matches nevertheless.
"""

import contextlib
import json
import math
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache, partial
from typing import Any, BinaryIO, TypedDict

from shared.identifiers import Fqid
from shared.search.documents import indexed_document
from shared.search.dsl import parse
from shared.search.matching import Subject
from shared.search.query import Query
from shared.webhooks.budgets import FREE_SECONDS
from shared.webhooks.expressions import evaluate_expression

# The contract: attachments have 128 KiB at most, as JSON.
LARGEST_ATTACHMENTS = 128 * 1024
_TIMED_OUT = "it took too long"
# The attachments of a request that matches, if they take too long.
NO_ATTACHMENTS = {"_errors": f"Attachments: {_TIMED_OUT}"}
# Bytes of address space. A document has 16 MiB of files at most, and takes about eight times as much when
# it is parsed; the search document shares most of that.
_MEMORY = 512 * 1024 * 1024


class EvaluationRequest(TypedDict):
    """The query and attachments of one subscription; `seconds` is the processor time that it may take."""

    owner: str
    jmespath_query: str | None
    es_query: Mapping[str, Any] | None
    attachments: Mapping[str, str]
    seconds: float


class EvaluationResult(TypedDict):
    """Whether the document matches; whether that `timed_out`; the error, or an empty string.

    If it `matches` and `timed_out`, only the attachments timed out. `seconds` is the processor time that it
    took. `over_budget`: it was not evaluated, because the budget of its owner was used up.
    """

    matches: bool
    timed_out: bool
    over_budget: bool
    seconds: float
    error: str
    attachments: dict[str, Any]


class _TimedOut(Exception):
    """A request has used up its processor time."""


class _Document:
    """A metadata document, and the search document that is built from it when a query needs it."""

    def __init__(self, encoded: bytes) -> None:
        self.content: dict[str, Any] = json.loads(encoded)

    @cached_property
    def subject(self) -> Subject:
        """The search document, which Elasticsearch queries match."""
        info = self.content["bundle_info"]
        return Subject(Fqid(info["uuid"], info["version"]), indexed_document(self.content))


def new_result(**fields: Any) -> EvaluationResult:
    """Return a result that does not match, with some fields changed."""
    result = EvaluationResult(
        matches=False, timed_out=False, over_budget=False, seconds=0.0, error="", attachments={}
    )
    return result | fields  # type: ignore[return-value] # the names are those of the class


def evaluate_within(
    budgets: dict[str, float],
    request: EvaluationRequest,
    document: _Document,
    report_match: Callable[[], None] = lambda: None,
) -> EvaluationResult:
    """Return the result of one request, and take its processor time out of the budget of its owner.

    Calls `report_match` before attachments are evaluated.
    """
    if budgets[request["owner"]] <= 0:
        return new_result(over_budget=True)
    start = time.process_time()
    result = evaluate(request, document, report_match)
    result["seconds"] = time.process_time() - start
    budgets[request["owner"]] -= max(0.0, result["seconds"] - FREE_SECONDS)
    return result


def evaluate(
    request: EvaluationRequest, document: _Document, report_match: Callable[[], None] = lambda: None
) -> EvaluationResult:
    """Return the result of one request; call `report_match` before attachments are evaluated."""
    result = new_result()
    try:
        with _limited(request["seconds"]):
            result["matches"] = _matches(request, document)
            if result["matches"] and request["attachments"]:
                report_match()
                result["attachments"] = _attachments(request["attachments"], document.content)
    except _TimedOut:
        # If only the attachments time out, the document matches nevertheless.
        result |= {"timed_out": True, "error": _TIMED_OUT, "attachments": dict(NO_ATTACHMENTS)}
    except Exception as error:  # noqa: BLE001 # a query that fails does not match
        result |= {"matches": False, "error": _text_of(error)}
    return result


def _matches(request: EvaluationRequest, document: _Document) -> bool:
    if request["es_query"] is not None:
        return document.subject.is_found_by(_query(json.dumps(request["es_query"])))
    if request["jmespath_query"] is not None:
        return bool(evaluate_expression(request["jmespath_query"], document.content))
    return True


def _attachments(expressions: Mapping[str, str], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the attachments; errors are under `_errors`."""
    attachments: dict[str, Any] = {}
    errors = {}
    for name, expression in expressions.items():
        try:
            value = evaluate_expression(expression, content)
            # JMESPath has infinite numbers, and expressions as values; neither is JSON.
            json.dumps(value, allow_nan=False)
            attachments[name] = value
        except _TimedOut:
            raise
        except Exception as error:  # noqa: BLE001 # the subscriber gets it
            errors[name] = _text_of(error)
    if errors:
        attachments["_errors"] = errors
    size = len(json.dumps(attachments))
    if size > LARGEST_ATTACHMENTS:
        return {"_errors": f"Attachments too large ({size} > {LARGEST_ATTACHMENTS})"}
    return attachments


def _text_of(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@lru_cache(maxsize=4096)
def _query(es_query: str) -> Query:
    return parse(json.loads(es_query))


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise _TimedOut in the block after so many seconds of processor time, at the interpreter's next step.

    If one step takes longer (the comparison of two objects is one), the kernel kills the process a second
    later.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _raise_timed_out(*_: object) -> None:
    raise _TimedOut


def serve(requests: BinaryIO, results: BinaryIO) -> None:
    """Evaluate requests until the input ends."""
    _write(results, b"")
    while line := requests.readline():
        header = json.loads(line)
        document = _Document(requests.read(header["size"]))
        if any(request["es_query"] is not None for request in header["requests"]):
            # All Elasticsearch queries share it, and none of them pays for it.
            with contextlib.suppress(Exception):
                # If it fails, it fails again for each of these queries, and for no others.
                _ = document.subject
        _write(results, b"")
        for request in header["requests"]:
            result = evaluate_within(header["budgets"], request, document, partial(_write, results, b"true"))
            _write(results, json.dumps(result).encode())


def _write(results: BinaryIO, line: bytes) -> None:
    results.write(line + b"\n")
    results.flush()


def main() -> None:
    """Serve on standard input and output, with bounded memory."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGVTALRM, _raise_timed_out)
    # The parent closes the pipe or kills this process; Ctrl-C is for the parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
