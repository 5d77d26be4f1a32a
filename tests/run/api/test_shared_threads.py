"""Threads that callers share: nobody keeps them all while others are there, and every wait has an end."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from run.api.shared_threads import NoThread, SharedThreads
from tests.support.waiting import SLOWNESS

COUNT, SHARE = 6, 2
# Seconds that a request waits here for its thread.
PATIENCE = SLOWNESS * 30


class Work:
    """Work that goes on until `end`; it counts who is at it."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []
        self._end = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __call__(self, caller: str) -> None:
        with self._lock:
            self.running[caller] += 1
            self.most[caller] = max(self.most[caller], self.running[caller])
            self.order.append(caller)
        assert self._end.acquire(timeout=PATIENCE)
        with self._lock:
            self.running[caller] -= 1

    def end(self, count: int) -> None:
        """Let so many end."""
        self._end.release(count)


async def until(condition: Callable[[], bool]) -> None:
    """Return when a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


def shared(
    scenario: Callable[[SharedThreads, Work, Callable[[str], "asyncio.Task[None]"]], Awaitable[None]],
) -> None:
    """Run a scenario with threads, work, and a function that starts a request of a caller."""

    async def main() -> None:
        threads, work = SharedThreads(COUNT, lambda _: SHARE), Work()

        def ask(caller: str) -> "asyncio.Task[None]":
            return asyncio.create_task(threads.run(caller, PATIENCE, work, caller))

        await scenario(threads, work, ask)

    asyncio.run(main())


def test_a_caller_who_is_alone_has_all_threads() -> None:
    async def scenario(_: SharedThreads, work: Work, ask: Callable[[str], "asyncio.Task[None]"]) -> None:
        tasks = [ask("one") for _ in range(COUNT + 4)]
        await until(lambda: work.running["one"] == COUNT)
        work.end(COUNT + 4)
        await asyncio.gather(*tasks)
        assert work.most["one"] == COUNT

    shared(scenario)


def test_while_others_are_there_each_has_its_share() -> None:
    async def scenario(_: SharedThreads, work: Work, ask: Callable[[str], "asyncio.Task[None]"]) -> None:
        tasks = [ask("other"), *(ask("flood") for _ in range(20))]
        await until(lambda: work.running["flood"] == SHARE)
        tasks.append(ask("third"))
        await until(lambda: work.running["third"] == 1)
        assert work.most["flood"] == SHARE
        work.end(len(tasks))
        await asyncio.gather(*tasks)

    shared(scenario)


def test_those_who_wait_take_turns() -> None:
    async def scenario(_: SharedThreads, work: Work, ask: Callable[[str], "asyncio.Task[None]"]) -> None:
        # It is alone when it takes them.
        tasks = [ask("flood") for _ in range(COUNT + 10)]
        await until(lambda: work.running["flood"] == COUNT)
        tasks += [ask("one"), ask("other"), ask("one")]
        await asyncio.sleep(0)
        for _ in range(3):
            work.end(1)
        await until(lambda: len(work.order) == COUNT + 3)
        assert sorted(work.order[COUNT:]) == ["one", "one", "other"]
        work.end(len(tasks))
        await asyncio.gather(*tasks)

    shared(scenario)


def test_a_wait_ends_and_leaves_nothing_behind() -> None:
    async def scenario(
        threads: SharedThreads, work: Work, ask: Callable[[str], "asyncio.Task[None]"]
    ) -> None:
        tasks = [ask("flood") for _ in range(COUNT)]
        await until(lambda: work.running["flood"] == COUNT)
        with pytest.raises(NoThread):
            await threads.run("late", 0.01, work, "late")
        cancelled = ask("late")
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        work.end(COUNT)
        await asyncio.gather(*tasks)
        # All threads are free again, and go to those who ask.
        tasks = [ask("next") for _ in range(COUNT)]
        await until(lambda: sum(work.running.values()) > 0)
        work.end(COUNT)
        await asyncio.gather(*tasks)
        assert work.order.count("late") == 0

    shared(scenario)


def test_an_error_of_the_work_is_the_callers_also_a_timeout() -> None:
    def fails() -> None:
        raise TimeoutError

    async def main() -> None:
        threads = SharedThreads(1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await threads.run("one", PATIENCE, fails)

    asyncio.run(main())


def test_a_new_request_is_refused_at_once_while_too_many_wait() -> None:
    async def main() -> None:
        threads, work = SharedThreads(COUNT, lambda _: SHARE, most_waiting=4), Work()

        def ask(caller: str, *, is_new: bool = True) -> "asyncio.Task[None]":
            return asyncio.create_task(threads.run(caller, PATIENCE, work, caller, is_new=is_new))

        tasks = [ask("flood") for _ in range(COUNT)]
        await until(lambda: work.running["flood"] == COUNT)
        tasks += [ask("flood") for _ in range(3)]
        await asyncio.sleep(0)
        assert not threads.is_full
        tasks.append(ask("flood"))
        await asyncio.sleep(0)
        assert threads.is_full
        for _ in range(10):
            with pytest.raises(NoThread):
                await ask("flood")
        # What was begun goes on, and others have their part of the line.
        tasks.append(ask("flood", is_new=False))
        tasks += [ask("other"), ask("other")]
        await asyncio.sleep(0)
        with pytest.raises(NoThread):
            await ask("other")
        work.end(len(tasks))
        await asyncio.gather(*tasks)
        assert work.order.count("other") == 2
        # The line is empty again.
        assert not threads.is_full
        tasks = [ask("flood") for _ in range(SHARE + 4)]
        work.end(len(tasks))
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_who_has_given_up_is_not_in_line() -> None:
    async def main() -> None:
        threads, work = SharedThreads(1, most_waiting=1), Work()
        task = asyncio.create_task(threads.run("one", PATIENCE, work, "one"))
        await until(lambda: work.running["one"] == 1)
        with pytest.raises(NoThread):
            await threads.run("late", 0.01, work, "late")
        assert not threads.is_full
        work.end(1)
        await task

    asyncio.run(main())
