"""Evaluates what subscribers wrote, in a process of its own: `python -m shared.webhooks.evaluator`.

Expressions are other people's programs. JMESPath has neither loops nor recursion, and yet an expression of
some hundred characters can double a list forty times. So they run where time and memory are bounded, and
where nothing is lost when the process is killed; see `shared.webhooks.evaluation`.

On standard input: a line of JSON, `{"size": …, "asked": [Asked, …]}`, and then a metadata document of so
many bytes. On standard output: an empty line once the document is understood, and then, for each that was
asked, in order, a line of JSON, `Found`.
"""

import contextlib
import json
import math
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, BinaryIO, TypedDict

import jmespath

from shared.identifiers import Fqid
from shared.search.documents import indexed_document
from shared.search.dsl import parse
from shared.search.matching import Subject
from shared.search.query import Query

# The contract: attachments have 128 KiB at most, as JSON.
LARGEST_ATTACHMENTS = 128 * 1024
_ENDLESS = "it did not come to an end"
# Bytes of address space. A document has 16 MiB of files at most, and takes about eight times as much when
# it is parsed; the document to be searched shares most of that.
_MEMORY = 512 * 1024 * 1024


class Asked(TypedDict):
    """What one subscription wants to know. `seconds` are those of processor time that it may take."""

    jmespath_query: str | None
    es_query: Mapping[str, Any] | None
    attachments: Mapping[str, str]
    seconds: float


class Found(TypedDict):
    """What there is to know: whether the document matches; an error, if there was.

    Whether it took too `late`; where it `matches` nevertheless, that was but for what is attached.
    """

    matches: bool
    late: bool
    error: str
    attachments: dict[str, Any]


class _Late(Exception):
    """The time is up."""


class _Document:
    """A metadata document, and the one by which a bundle is searched, made when somebody asks for it."""

    def __init__(self, encoded: bytes) -> None:
        self.content: dict[str, Any] = json.loads(encoded)

    @cached_property
    def subject(self) -> Subject:
        """What Elasticsearch queries are asked about."""
        info = self.content["bundle_info"]
        return Subject(Fqid(info["uuid"], info["version"]), indexed_document(self.content))


def evaluate(asked: Asked, document: _Document) -> Found:
    """Return what one subscription wants to know of a document."""
    found = Found(matches=False, late=False, error="", attachments={})
    try:
        with _limited(asked["seconds"]):
            found["matches"] = _matches(asked, document)
            if found["matches"]:
                found["attachments"] = _attachments(asked["attachments"], document.content)
    except _Late:
        # What is attached is no reason not to tell of what matches.
        found |= {"late": True, "error": _ENDLESS, "attachments": {"_errors": f"Attachments: {_ENDLESS}"}}
    except Exception as error:  # noqa: BLE001 # what makes no sense of a document does not match it
        found |= {"matches": False, "error": _said(error)}
    return found


def _matches(asked: Asked, document: _Document) -> bool:
    if asked["es_query"] is not None:
        return document.subject.is_found_by(_query(json.dumps(asked["es_query"])))
    if asked["jmespath_query"] is not None:
        return bool(_compiled(asked["jmespath_query"]).search(document.content))
    return True


def _attachments(expressions: Mapping[str, str], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is attached; what fails is named under `_errors`."""
    attachments: dict[str, Any] = {}
    errors = {}
    for name, expression in expressions.items():
        try:
            found = _compiled(expression).search(content)
            # JMESPath also knows infinite numbers, and expressions as values; neither is JSON.
            json.dumps(found, allow_nan=False)
            attachments[name] = found
        except _Late:
            raise
        except Exception as error:  # noqa: BLE001 # whatever it is, the subscriber hears of it
            errors[name] = _said(error)
    if errors:
        attachments["_errors"] = errors
    size = len(json.dumps(attachments))
    if size > LARGEST_ATTACHMENTS:
        return {"_errors": f"Attachments too large ({size} > {LARGEST_ATTACHMENTS})"}
    return attachments


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


@lru_cache(maxsize=4096)
def _query(es_query: str) -> Query:
    return parse(json.loads(es_query))


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise _Late after so many seconds of processor time, at the next step of Python's.

    Where one step takes longer (to compare two objects is one), the kernel ends this process a second later.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, hard))
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _raise_late(*_: object) -> None:
    raise _Late


def serve(asking: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    while line := asking.readline():
        request = json.loads(line)
        document = _Document(asking.read(request["size"]))
        if any(asked["es_query"] is not None for asked in request["asked"]):
            # Shared by all of them, and on nobody's account.
            _ = document.subject
        answers.write(b"\n")
        answers.flush()
        for asked in request["asked"]:
            answers.write(json.dumps(evaluate(asked, document)).encode() + b"\n")
            answers.flush()


def main() -> None:
    """Serve on standard input and output, within the limits."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGVTALRM, _raise_late)
    # Who asks ends this by closing the pipe, or by killing it; Ctrl-C is theirs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
