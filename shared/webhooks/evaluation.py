"""Evaluation: match subscriptions with a metadata document, at a bounded cost whatever they ask.

Each subscription has a short first try. One that times out waits until all others are done, and has a longer
second try; a subscription that is known to be slow begins there. After MOST_TIMEOUTS second tries of an event
have timed out, the rest are skipped. So a query that never ends costs an event some seconds, and costs no
other subscription its notification. Example, with five subscriptions of which s2 and s4 never end:

    first tries    s1 match, s2 timeout (0.2 s), s3 no match, s4 timeout (0.2 s), s5 match
    second tries   s4 timeout (0.5 s), s2 timeout (0.5 s)         -> s2 and s4 are remembered as slow
    next event     first tries of s1, s3, s5; then second tries of s2 and s4
"""

import contextlib
import json
import os
import random
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

import shared
from shared.catalog import Subscription
from shared.errors import Unavailable
from shared.webhooks.evaluator import EvaluationRequest, EvaluationResult

_log = structlog.get_logger()

# Seconds of processor time per try. Typical queries take about a thousandth of the first.
FIRST_TRY = 0.2
SECOND_TRY = 0.5
# Second tries of an event that may time out; the rest are skipped.
MOST_TIMEOUTS = 3
# Seconds without a result after which a process is killed. It ends itself before, unless it gets hardly any
# processor time.
_RESULT_SECONDS = 20.0
# Most subscriptions that are remembered as slow.
_REMEMBERED = 1000
_PIECE = 64 * 1024


class EvaluatorFailed(Exception):
    """An evaluator process ended, or returned no result in time, while it evaluated a subscription."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A subscription that a document matches, and the values of its attachments."""

    subscription: Subscription
    attachments: Mapping[str, Any]


class EvaluatorPool:
    """Matches documents with subscriptions. Threads may share it: each call has a process of its own."""

    def __init__(self, *, start: Callable[[], "EvaluatorProcess"] | None = None) -> None:
        self._start = start or EvaluatorProcess
        self._idle: list[EvaluatorProcess] = []
        # The slow subscriptions, the one that was slow most recently last.
        self._slow: dict[str, None] = {}
        self._lock = threading.Lock()

    def matches(self, document: bytes, subscriptions: Sequence[Subscription]) -> Iterator[Match]:
        """Yield the subscriptions that a metadata document matches, as they are found.

        A subscription that fails or times out does not match, and is logged. If it matches and its
        attachments time out, they contain that error instead.
        """
        if not subscriptions:
            return
        quick = [subscription for subscription in subscriptions if subscription.uuid not in self._slow]
        deferred = [subscription for subscription in subscriptions if subscription.uuid in self._slow]
        for subscription, result in self._results(document, quick, FIRST_TRY):
            if result["timed_out"]:
                deferred.append(subscription)
            elif match := self._match(subscription, result):
                yield match
        yield from self._second_tries(document, deferred)

    def _second_tries(self, document: bytes, deferred: list[Subscription]) -> Iterator[Match]:
        # Subscriptions that are not known to be slow come first: perhaps only the machine was slow. The order
        # of the others changes each time, because the last ones may be skipped.
        random.shuffle(deferred)
        deferred.sort(key=lambda subscription: subscription.uuid in self._slow)
        timeouts = 0
        for subscription in deferred:
            if timeouts == MOST_TIMEOUTS:
                _log.warning("not evaluated: other subscriptions timed out", subscription=subscription.uuid)
                continue
            for _, result in self._results(document, [subscription], SECOND_TRY):
                timeouts += result["timed_out"]
                self._remember(subscription, slow=result["timed_out"])
                if match := self._match(subscription, result):
                    yield match

    def close(self) -> None:
        """Kill the idle processes."""
        with self._lock:
            while self._idle:
                self._idle.pop().kill()

    def _results(
        self, document: bytes, subscriptions: Sequence[Subscription], seconds: float
    ) -> Iterator[tuple[Subscription, EvaluationResult]]:
        """Yield the result of each subscription, in order.

        If a process fails, the subscription that it evaluated is reported as timed out, and a new process
        continues after it.
        """
        remaining = list(subscriptions)
        while remaining:
            evaluator = self._take()
            complete = False
            try:
                evaluator.send(document, [_request(subscription, seconds) for subscription in remaining])
                while remaining:
                    result = evaluator.result()
                    yield remaining.pop(0), result
                complete = True
            except EvaluatorFailed as error:
                failed = EvaluationResult(matches=False, timed_out=True, error=str(error), attachments={})
                yield remaining.pop(0), failed
            finally:
                # The caller may have stopped early. The process would then give the rest of the results to
                # the next caller.
                if complete:
                    self._give_back(evaluator)
                else:
                    evaluator.kill()

    def _match(self, subscription: Subscription, result: EvaluationResult) -> Match | None:
        if result["error"]:
            outcome = "matches without attachments" if result["matches"] else "does not match"
            _log.info(outcome, subscription=subscription.uuid, reason=result["error"])
        if not result["matches"]:
            return None
        return Match(subscription=subscription, attachments=result["attachments"])

    def _remember(self, subscription: Subscription, *, slow: bool) -> None:
        with self._lock:
            self._slow.pop(subscription.uuid, None)
            if slow:
                self._slow[subscription.uuid] = None
            while len(self._slow) > _REMEMBERED:
                self._slow.pop(next(iter(self._slow)))

    def _take(self) -> "EvaluatorProcess":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _give_back(self, evaluator: "EvaluatorProcess") -> None:
        with self._lock:
            self._idle.append(evaluator)


def _request(subscription: Subscription, seconds: float) -> EvaluationRequest:
    return EvaluationRequest(
        jmespath_query=subscription.jmespath_query,
        es_query=subscription.es_query,
        attachments=subscription.attachments,
        seconds=seconds,
    )


class EvaluatorProcess:
    """A process of `shared.webhooks.evaluator`."""

    def __init__(self) -> None:
        root = str(Path(shared.__path__[0]).parent)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "shared.webhooks.evaluator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # It evaluates other people's expressions, and gets none of this process's secrets.
            env={"PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])},
            cwd="/",
        )
        self._buffer = b""

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def send(self, document: bytes, requests: Sequence[EvaluationRequest]) -> None:
        """Send a document and requests; raise Unavailable if the process cannot read the document."""
        header = json.dumps({"size": len(document), "requests": requests}).encode() + b"\n"
        try:
            assert self._process.stdin
            self._process.stdin.write(header + document)
            self._process.stdin.flush()
            self._line()
        except (OSError, EvaluatorFailed) as error:
            raise Unavailable(f"a document of {len(document)} bytes cannot be evaluated: {error}") from error

    def result(self) -> EvaluationResult:
        """Return the next result. Raises EvaluatorFailed."""
        result: EvaluationResult = json.loads(self._line())
        return result

    def _line(self) -> bytes:
        assert self._process.stdout
        output = self._process.stdout.fileno()
        deadline = time.monotonic() + _RESULT_SECONDS
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([output], [], [], remaining)[0]:
                raise EvaluatorFailed(f"no result within {_RESULT_SECONDS:g} s")
            piece = os.read(output, _PIECE)
            if not piece:
                raise EvaluatorFailed("it ended the evaluator process")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
