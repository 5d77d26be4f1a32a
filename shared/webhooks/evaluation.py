"""What subscriptions find in a metadata document, found out at a bounded cost, whatever they ask.

Each subscription has a first, short try. Who is not done by then waits until all others are, and has a
longer one, until a few of these have come to no end; a subscription that is known for it begins there. So one
that takes for ever costs an event some seconds, and no other subscription its notification.
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

import shared
from shared.catalog import Subscription
from shared.errors import Unavailable
from shared.webhooks.evaluator import Asked, Found

_log = structlog.get_logger()

# Seconds of processor time. What people ask takes about a thousandth of the first.
FIRST_TRY = 0.2
SECOND_TRY = 0.5
# Second tries of an event that may come to no end; then no more are begun.
MOST_LATE = 3
# Seconds without an answer after which a process is taken for lost. It ends itself before, unless it gets
# hardly any processor time.
_LOST = 20.0
# Subscriptions that are remembered for having taken long.
_REMEMBERED = 1000
_PIECE = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Match:
    """A subscription that a document matches, and what it wants attached."""

    subscription: Subscription
    found: Found


class Evaluation:
    """Matches documents against subscriptions. Threads may share it: each has a process of its own."""

    def __init__(self, *, start: Callable[[], "Evaluator"] | None = None) -> None:
        self._start = start or Evaluator
        self._idle: list[Evaluator] = []
        self._slow: dict[str, None] = {}
        self._lock = threading.Lock()

    def matches(self, document: bytes, subscriptions: Sequence[Subscription]) -> Iterator[Match]:
        """Yield the subscriptions that a metadata document matches, as they are found.

        One that fails, or comes to no end, does not match, and is logged; one that matches and whose
        attachments come to no end is told so in their place.
        """
        if not subscriptions:
            return
        quick = [one for one in subscriptions if one.uuid not in self._slow]
        waiting = [one for one in subscriptions if one.uuid in self._slow]
        for subscription, found in self._asked(document, quick, FIRST_TRY):
            if found["late"]:
                waiting.append(subscription)
            elif match := self._match(subscription, found):
                yield match
        yield from self._second_tries(document, waiting)

    def _second_tries(self, document: bytes, waiting: list[Subscription]) -> Iterator[Match]:
        # Who is not known for it may have been held up by the machine, and comes first. The others come in
        # another order each time, for the last ones may be left without a try.
        random.shuffle(waiting)
        waiting.sort(key=lambda one: one.uuid in self._slow)
        late = 0
        for subscription in waiting:
            if late == MOST_LATE:
                _log.warning("not evaluated: others took too long", subscription=subscription.uuid)
                continue
            for _, found in self._asked(document, [subscription], SECOND_TRY):
                late += found["late"]
                self._remember(subscription, slow=found["late"])
                if match := self._match(subscription, found):
                    yield match

    def close(self) -> None:
        """End the processes that nobody uses."""
        with self._lock:
            while self._idle:
                self._idle.pop().kill()

    def _asked(
        self, document: bytes, subscriptions: Sequence[Subscription], seconds: float
    ) -> Iterator[tuple[Subscription, Found]]:
        """Yield what each subscription finds, in order; a process that is lost is replaced behind the one."""
        left = list(subscriptions)
        while left:
            evaluator = self._taken()
            whole = False
            try:
                evaluator.read(document, [_asked(one, seconds) for one in left])
                while left:
                    found = evaluator.answer()
                    yield left.pop(0), found
                whole = True
            except Lost as error:
                yield left.pop(0), Found(matches=False, late=True, error=str(error), attachments={})
            finally:
                # One that is left in the midst of its answers would tell the rest of them to the next.
                if whole:
                    self._give_back(evaluator)
                else:
                    evaluator.kill()

    def _match(self, subscription: Subscription, found: Found) -> Match | None:
        if found["error"]:
            what = "nothing is attached" if found["matches"] else "does not match"
            _log.info(what, subscription=subscription.uuid, reason=found["error"])
        return Match(subscription=subscription, found=found) if found["matches"] else None

    def _remember(self, subscription: Subscription, *, slow: bool) -> None:
        with self._lock:
            self._slow.pop(subscription.uuid, None)
            if slow:
                self._slow[subscription.uuid] = None
            while len(self._slow) > _REMEMBERED:
                self._slow.pop(next(iter(self._slow)))

    def _taken(self) -> "Evaluator":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _give_back(self, evaluator: "Evaluator") -> None:
        with self._lock:
            self._idle.append(evaluator)


def _asked(subscription: Subscription, seconds: float) -> Asked:
    return Asked(
        jmespath_query=subscription.jmespath_query,
        es_query=subscription.es_query,
        attachments=subscription.attachments,
        seconds=seconds,
    )


class Lost(Exception):
    """A process ended, or did not answer in time, while it was at a subscription."""


class Evaluator:
    """A process of `shared.webhooks.evaluator`."""

    def __init__(self) -> None:
        root = str(Path(shared.__path__[0]).parent)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "shared.webhooks.evaluator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What it evaluates is other people's: it gets none of this process's secrets.
            env={"PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])},
            cwd="/",
        )
        self._buffer = b""

    def read(self, document: bytes, asked: Sequence[Asked]) -> None:
        """Have the process read a document, and what is asked of it. Raises Unavailable where it cannot."""
        header = json.dumps({"size": len(document), "asked": asked}).encode() + b"\n"
        try:
            assert self._process.stdin
            self._process.stdin.write(header + document)
            self._process.stdin.flush()
            self._line()
        except (OSError, Lost) as error:
            raise Unavailable(f"a document of {len(document)} bytes cannot be evaluated: {error}") from error

    def answer(self) -> Found:
        """Return the next answer. Raises Lost."""
        found: Found = json.loads(self._line())
        return found

    def _line(self) -> bytes:
        assert self._process.stdout
        output = self._process.stdout.fileno()
        ends = time.monotonic() + _LOST
        while b"\n" not in self._buffer:
            remaining = ends - time.monotonic()
            if remaining <= 0 or not select.select([output], [], [], remaining)[0]:
                raise Lost(f"no answer within {_LOST:g} s")
            read = os.read(output, _PIECE)
            if not read:
                raise Lost("it ended the process")
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
