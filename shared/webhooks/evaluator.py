"""The evaluator process: evaluate subscribers' queries. Run as `python -m shared.webhooks.evaluator`.

Expressions are other people's programs. JMESPath has neither loops nor recursion, and yet an expression of
some hundred characters can double a list forty times. So they run in a process whose time and memory are
bounded, and which can be killed at any time; see `shared.webhooks.evaluation`.

Standard input is lines of JSON, objects with one of these members:

- `define`: pairs of a number and an EvaluationRequest, which is known by it from now on. Answered by an empty
  line.
- `document`: the size of a metadata document in bytes, which follow. Answered by an empty line when it is
  parsed.
- `candidates`: answered by a list of the numbers that may match the document, or fail on it; the others do
  neither. Answered by null if that takes too long.
- `evaluate`: pairs of a number and the seconds of processor time that it may take; `budgets` has the seconds
  that those of each owner may take in all. Answered by an EvaluationResult for each, in order. Before
  the attachments of a request that matches are evaluated, there is the line `true`: they may end the process,
  and it matches nevertheless.

Standard output begins with an empty line when the process is ready.
"""

import contextlib
import json
import math
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, BinaryIO, TypedDict

from shared.identifiers import Fqid
from shared.search.documents import indexed_document
from shared.search.dsl import parse
from shared.search.matching import Subject
from shared.search.query import Query
from shared.webhooks.budgets import FREE_SECONDS
from shared.webhooks.conditions import Condition, Lookup, needs_of_expression, needs_of_query
from shared.webhooks.expressions import evaluate_expression, kept_in_bounds, parsed_expression

# The contract: attachments have 128 KiB at most, as JSON.
LARGEST_ATTACHMENTS = 128 * 1024
_TIMED_OUT = "it took too long"
# The attachments of a request that matches, if they take too long.
NO_ATTACHMENTS = {"_errors": f"Attachments: {_TIMED_OUT}"}
# Bytes of address space. A document has 16 MiB of files at most, and takes about eight times as much when
# it is parsed; the search document shares most of that.
_MEMORY = 512 * 1024 * 1024
# Of processor time, to find out what a query needs. Parsing takes a hundredth of it.
_NEEDS_SECONDS = 0.05
# To look all queries up. Without it somebody's many conditions on a large document would cost others time.
_LOOKUP_SECONDS = 0.5


class EvaluationRequest(TypedDict):
    """The query and attachments of one subscription."""

    owner: str
    jmespath_query: str | None
    es_query: Mapping[str, Any] | None
    attachments: Mapping[str, str]


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
    seconds: float,
    document: _Document,
    report_match: Callable[[], None] = lambda: None,
) -> EvaluationResult:
    """Return the result of one request, and take its processor time out of the budget of its owner.

    It takes at most `seconds`. Calls `report_match` before attachments are evaluated.
    """
    if budgets[request["owner"]] <= 0:
        return new_result(over_budget=True)
    start = time.process_time()
    result = evaluate(request, seconds, document, report_match)
    result["seconds"] = time.process_time() - start
    budgets[request["owner"]] -= max(0.0, result["seconds"] - FREE_SECONDS)
    return result


def evaluate(
    request: EvaluationRequest,
    seconds: float,
    document: _Document,
    report_match: Callable[[], None] = lambda: None,
) -> EvaluationResult:
    """Return the result of one request; call `report_match` before attachments are evaluated."""
    result = new_result()
    try:
        with _limited(seconds):
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


@kept_in_bounds
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


class _Evaluator:
    """What the process knows: requests by number, and the last document."""

    def __init__(self, results: BinaryIO) -> None:
        self._results = results
        self._requests: dict[int, EvaluationRequest] = {}
        self._lookup = Lookup()
        self._document = _Document(b"{}")

    def define(self, requests: Sequence[tuple[int, EvaluationRequest]]) -> None:
        """Know requests by their numbers."""
        for number, request in requests:
            self._requests[number] = request
            self._lookup.add(number, _needs(request), searches=request["es_query"] is not None)
        _write(self._results, b"")

    def read(self, encoded: bytes) -> None:
        """Parse a document, and know it as the last one."""
        self._document = _Document(encoded)
        _write(self._results, b"")

    def find_candidates(self) -> None:
        """Tell the numbers of all requests but those that the document does not match."""
        subject, found = self._subject(self._requests.values()), None
        with contextlib.suppress(_TimedOut), _limited(_LOOKUP_SECONDS):
            found = sorted(self._lookup.may_match(self._document.content, subject))
        _write(self._results, json.dumps(found).encode())

    def _subject(self, requests: Iterable[EvaluationRequest]) -> Subject | None:
        """Return the search document if one of the requests needs it, and it can be made."""
        if any(request["es_query"] is not None for request in requests):
            # All Elasticsearch queries share it, and none of them pays for it.
            with contextlib.suppress(Exception):
                # If it fails, it fails again for each of these queries, and for no others.
                return self._document.subject
        return None

    def evaluate(self, requests: Sequence[tuple[int, float]], budgets: dict[str, float]) -> None:
        """Tell the results of requests."""
        self._subject(self._requests[number] for number, _ in requests)
        report_match = partial(_write, self._results, b"true")
        for number, seconds in requests:
            request = self._requests[number]
            result = evaluate_within(budgets, request, seconds, self._document, report_match)
            _write(self._results, json.dumps(result).encode())


def _needs(request: EvaluationRequest) -> frozenset[Condition] | None:
    """Return what a document needs to match a request; None if that takes too long to find."""
    try:
        with _limited(_NEEDS_SECONDS):
            if request["es_query"] is not None:
                return needs_of_query(_query(json.dumps(request["es_query"])))
            if request["jmespath_query"] is not None:
                return needs_of_expression(parsed_expression(request["jmespath_query"]))
    except Exception:  # noqa: BLE001 # if it fails, it fails again when it is evaluated
        return None
    return None


def serve(requests: BinaryIO, results: BinaryIO) -> None:
    """Answer until the input ends."""
    evaluator = _Evaluator(results)
    _write(results, b"")
    while line := requests.readline():
        message = json.loads(line)
        if "define" in message:
            evaluator.define(message["define"])
        elif "document" in message:
            evaluator.read(requests.read(message["document"]))
        elif "candidates" in message:
            evaluator.find_candidates()
        else:
            evaluator.evaluate(message["evaluate"], message["budgets"])


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
