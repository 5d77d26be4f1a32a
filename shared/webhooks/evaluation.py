"""Evaluation: match subscriptions with a metadata document, at a bounded cost for any query.

Subscriptions are evaluated in order of what they have cost before, the cheap ones first. Each has a short
first try. One that times out waits until all others are done, and has a longer second try; a subscription
that is known to be slow begins there. All queries of an owner share the owner's budget
(`shared.webhooks.budgets`); if it is used up, they are reported as OverBudget, and not evaluated. So a query
that never ends costs no other owner a notification. Example, with five subscriptions of which s2 and s4 never
end:

    first tries    s1 match, s2 timeout (0.2 s), s3 no match, s4 timeout (0.2 s), s5 match
    second tries   s4 timeout (0.5 s) -> failure, s2 over budget, if both are of one owner
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
from typing import Any, Literal

import structlog

import shared
from shared.catalog import Subscription
from shared.errors import Unavailable
from shared.webhooks.budgets import EVENT_SECONDS, FREE_SECONDS, OwnerBudgets
from shared.webhooks.evaluator import NO_ATTACHMENTS, EvaluationRequest, EvaluationResult, new_result

_log = structlog.get_logger()

# Seconds of processor time per try. Typical queries take about a thousandth of the first.
FIRST_TRY = 0.2
SECOND_TRY = 0.5
# Seconds without a result after which a process is killed. It ends itself before, unless it gets hardly any
# processor time.
_RESULT_SECONDS = 20.0
# Seconds until a new process is ready: its imports take one second of processor time.
_START_SECONDS = 120.0
# Seconds of processor time after which the kernel kills a process, beyond those of its try.
_KILL_SECONDS = 1.0
# Most subscriptions whose cost is remembered.
_REMEMBERED = 1000
_PIECE = 64 * 1024
# Subscriptions up to which it is not worth to look for those that may match.
_FEW = 10
# Subscriptions that are sent to a process at once: tenths of a second of processor time.
_DEFINED_AT_ONCE = 200
# Those that were sent to it, of which some are gone, when another process takes its place.
_MOST_DEFINED = 50_000
_NOBODY: tuple[int, None, None] = (0, None, None)


class EvaluatorFailed(Exception):
    """An evaluator process ended, or returned no result in time, while it evaluated a subscription.

    `matched`: it had found that the document matches, and evaluated attachments.
    """

    def __init__(self, reason: str, *, matched: bool = False) -> None:
        super().__init__(reason)
        self.matched = matched


@dataclass(frozen=True, kw_only=True)
class Match:
    """A subscription that a document matches, and the values of its attachments."""

    subscription: Subscription
    attachments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A subscription whose query failed on a document, or timed out, and why."""

    subscription: Subscription
    reason: str


@dataclass(frozen=True, kw_only=True)
class OverBudget:
    """A subscription that was not evaluated, because the budget of its owner is used up."""

    subscription: Subscription


Outcome = Match | Failure | OverBudget


class EvaluatorPool:
    """Matches documents with subscriptions. Threads may share it: each call has a process of its own."""

    def __init__(
        self, *, start: Callable[[], "EvaluatorProcess"] | None = None, budgets: OwnerBudgets | None = None
    ) -> None:
        self._start = start or EvaluatorProcess
        self._idle: list[EvaluatorProcess] = []
        self.budgets = budgets or OwnerBudgets()
        # By subscription: the seconds that its last evaluation took, if they were not free.
        self._costs: dict[str, float] = {}
        self._lock = threading.Lock()
        # Processes start one after the other. If all started at once on a machine with much else to do, none
        # might be ready in time, and neither would be those that replace them.
        self._starting = threading.Lock()

    def outcomes(self, document: bytes, subscriptions: Sequence[Subscription]) -> Iterator[Outcome]:
        """Yield the outcome of each subscription that matches a document, fails, or is over budget.

        If only the attachments of a subscription time out, it matches, and they contain that error instead.
        """
        if len(subscriptions) > _FEW:
            subscriptions = self._candidates(document, subscriptions)
        cost = self._known_costs(subscriptions)
        left = {owner: self.budgets.available(owner) for owner in {one.owner for one in subscriptions}}
        # Cheap ones first, and those of owners who have used least of their budgets.
        ordered = sorted(subscriptions, key=lambda one: (cost[one.uuid], -left[one.owner]))
        quick = [subscription for subscription in ordered if cost[subscription.uuid] < FIRST_TRY]
        slow = [subscription for subscription in ordered if cost[subscription.uuid] >= FIRST_TRY]
        for subscription, result in self._results(document, quick, FIRST_TRY):
            if result["timed_out"]:
                slow.append(subscription)
            elif outcome := self._outcome(subscription, result):
                yield outcome
        # The order changes each time, because the budget may not suffice for the last ones.
        random.shuffle(slow)
        for subscription, result in self._results(document, slow, SECOND_TRY):
            if outcome := self._outcome(subscription, result):
                yield outcome

    def _candidates(self, document: bytes, subscriptions: Sequence[Subscription]) -> Sequence[Subscription]:
        """Return the subscriptions that a document may match, or on which a query may fail; no others."""
        if not subscriptions:
            return subscriptions
        evaluator = self._take()
        try:
            found = evaluator.candidates(document, subscriptions)
        except BaseException as error:
            evaluator.kill()
            if isinstance(error, EvaluatorFailed):
                # Each is evaluated on its own, and the one that did it is found.
                return subscriptions
            raise
        self._give_back(evaluator)
        return found

    def _known_costs(self, subscriptions: Sequence[Subscription]) -> dict[str, float]:
        with self._lock:
            return {one.uuid: self._costs.get(one.uuid, 0.0) for one in subscriptions}

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
                budgets = self._event_budgets(remaining)
                evaluator.send(document, remaining, seconds, budgets)
                while remaining:
                    result = evaluator.result()
                    self._account(remaining[0], result)
                    yield remaining.pop(0), result
                complete = True
            except EvaluatorFailed as error:
                failed = new_result(
                    timed_out=True,
                    seconds=seconds + _KILL_SECONDS,
                    error=str(error),
                    matches=error.matched,
                    attachments=dict(NO_ATTACHMENTS),
                )
                self._account(remaining[0], failed)
                yield remaining.pop(0), failed
            finally:
                # The caller may have stopped early. The process would then give the rest of the results to
                # the next caller.
                if complete:
                    self._give_back(evaluator)
                else:
                    evaluator.kill()

    def _event_budgets(self, subscriptions: Sequence[Subscription]) -> dict[str, float]:
        owners = {subscription.owner for subscription in subscriptions}
        return {owner: min(EVENT_SECONDS, self.budgets.available(owner)) for owner in owners}

    def _account(self, subscription: Subscription, result: EvaluationResult) -> None:
        """Charge an evaluation to its owner, and remember its cost."""
        if result["over_budget"]:
            return
        self.budgets.charge(subscription.owner, result["seconds"])
        # One that has timed out is slow, even if it took little processor time.
        cost = max(result["seconds"], FIRST_TRY) if result["timed_out"] else result["seconds"]
        with self._lock:
            self._costs.pop(subscription.uuid, None)
            if cost > FREE_SECONDS:
                self._costs[subscription.uuid] = cost
            while len(self._costs) > _REMEMBERED:
                self._costs.pop(next(iter(self._costs)))

    def _outcome(self, subscription: Subscription, result: EvaluationResult) -> Outcome | None:
        if result["over_budget"]:
            return OverBudget(subscription=subscription)
        if result["matches"]:
            return Match(subscription=subscription, attachments=result["attachments"])
        if result["error"]:
            _log.info("query failed", subscription=subscription.uuid, reason=result["error"])
            return Failure(subscription=subscription, reason=result["error"])
        return None

    def _take(self) -> "EvaluatorProcess":
        """Return an idle process, or a new one. Raises Unavailable."""
        if evaluator := self._take_idle():
            return evaluator
        with self._starting:
            # Another thread may have returned one meanwhile.
            return self._take_idle() or self._start()

    def _take_idle(self) -> "EvaluatorProcess | None":
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, evaluator: "EvaluatorProcess") -> None:
        if evaluator.defined > _MOST_DEFINED:
            evaluator.kill()
            return
        with self._lock:
            self._idle.append(evaluator)


def _request(subscription: Subscription) -> EvaluationRequest:
    return EvaluationRequest(
        owner=subscription.owner,
        jmespath_query=subscription.jmespath_query,
        es_query=subscription.es_query,
        attachments=subscription.attachments,
    )


class EvaluatorProcess:
    """A process of `shared.webhooks.evaluator`, which is ready."""

    def __init__(self) -> None:
        """Start it. Raises Unavailable if it is not ready within _START_SECONDS."""
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
        # By subscription: its number, itself, and what the process has of it.
        self._known: dict[str, tuple[int, Subscription | None, EvaluationRequest | None]] = {}
        self._last = 0
        self._document: bytes | None = None
        try:
            self._line(_START_SECONDS)
        except EvaluatorFailed as error:
            self.kill()
            raise Unavailable(f"queries cannot be evaluated: the start of a process: {error}") from error

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def defined(self) -> int:
        """How many subscriptions were sent to the process; those that have changed count each time."""
        return self._last

    def candidates(self, document: bytes, subscriptions: Sequence[Subscription]) -> list[Subscription]:
        """Return the subscriptions that a document may match, or fail on.

        Raises EvaluatorFailed, and Unavailable if the process cannot read the document.
        """
        try:
            numbers = self._define(subscriptions)
            self._read(document)
            self._write({"candidates": True})
            found = json.loads(self._line())
        except OSError as error:
            raise EvaluatorFailed(str(error)) from error
        if found is None:
            return list(subscriptions)
        candidates = set(found)
        return [one for one, number in zip(subscriptions, numbers, strict=True) if number in candidates]

    def send(
        self,
        document: bytes,
        subscriptions: Sequence[Subscription],
        seconds: float,
        budgets: Mapping[str, float],
    ) -> None:
        """Send a document and subscriptions, each of which may take some seconds, within owners' budgets.

        Raises Unavailable if the process cannot read the document.
        """
        try:
            numbers = self._define(subscriptions)
            self._read(document)
            self._write({"evaluate": [(number, seconds) for number in numbers], "budgets": budgets})
        except (OSError, EvaluatorFailed) as error:
            raise _unreadable(document, error) from error

    def _define(self, subscriptions: Sequence[Subscription]) -> list[int]:
        """Return the numbers by which the process knows subscriptions; tell it those that are new to it."""
        unknown = [one for one in subscriptions if self._known.get(one.uuid, _NOBODY)[1] is not one]
        new = []
        for subscription in unknown:
            request = _request(subscription)
            number, _, known = self._known.get(subscription.uuid, _NOBODY)
            if known != request:
                self._last += 1
                number = self._last
                new.append((number, request))
            self._known[subscription.uuid] = number, subscription, request
        for start in range(0, len(new), _DEFINED_AT_ONCE):
            self._write({"define": new[start : start + _DEFINED_AT_ONCE]})
            self._line()
        return [self._known[one.uuid][0] for one in subscriptions]

    def _read(self, document: bytes) -> None:
        """Have the process read a document, unless it was the last one that it read."""
        if document is self._document:
            return
        self._write({"document": len(document)}, document)
        try:
            self._line()
        except EvaluatorFailed as error:
            raise _unreadable(document, error) from error
        self._document = document

    def _write(self, message: Mapping[str, Any], content: bytes = b"") -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n" + content)
        self._process.stdin.flush()

    def result(self) -> EvaluationResult:
        """Return the next result. Raises EvaluatorFailed."""
        result: EvaluationResult | Literal[True] = json.loads(self._line())
        if result is not True:
            return result
        try:
            attached: EvaluationResult = json.loads(self._line())
        except EvaluatorFailed as error:
            raise EvaluatorFailed(str(error), matched=True) from error
        return attached

    def _line(self, seconds: float = _RESULT_SECONDS) -> bytes:
        assert self._process.stdout
        output = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([output], [], [], remaining)[0]:
                raise EvaluatorFailed(f"no result within {seconds:g} s")
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


def _unreadable(document: bytes, error: Exception) -> Unavailable:
    return Unavailable(f"a document of {len(document)} bytes cannot be evaluated: {error}")
