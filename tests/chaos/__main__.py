"""Make faults for some minutes, and prove that nothing was lost: `python -m tests.chaos --minutes 10`."""

import argparse
import json
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos import checks, report
from tests.chaos.history import History
from tests.chaos.load import World, clients
from tests.chaos.schedule import Fault, schedule
from tests.chaos.system import ChaosSystem, running
from tests.support.clouds import Clouds
from tests.support.subscriber import Subscriber, subscriber

# Seconds after the last fault within which all has to be right.
SETTLED = 300
# Seconds between two rounds of checks, and the longest that the last request of a client takes.
_AGAIN, _LAST_REQUEST = 2.0, 120
# Faults at once.
_THREADS = 16


def main() -> int:
    """Return 0 if all that was acknowledged is there, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="the same faults as in an earlier run")
    parser.add_argument("--output", type=Path, default=Path("build/chaos"), help="where the histories go")
    arguments = parser.parse_args()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    output: Path = arguments.output / str(seed)
    output.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}; histories in {output}", flush=True)
    outcome = run(seed, arguments.minutes * 60, output)
    (output / "report.md").write_text(report.page(outcome))
    print(report.text(outcome), flush=True)
    return 1 if outcome.faults else 0


def run(seed: int, seconds: float, output: Path) -> report.Outcome:
    """Run the system with faults for so many seconds, and then check it."""
    faults = schedule(seed, seconds)
    (output / "schedule.json").write_text(json.dumps([vars(each) for each in faults], indent=1))
    history = History(output / "history.jsonl")
    with subscriber() as server, running(output / "system") as system:
        world = World(env=system.direct, clouds=Clouds(system.direct), history=history)
        _subscribe(world, server)
        memory = system.memory()
        threads = clients(seed, world)
        for each in threads:
            each.start()
        hit = _make(system, faults, seconds)
        world.stop.set()
        for each in threads:
            each.join(_LAST_REQUEST)
        settled, found = _settle(world, server, system)
        found["no order of operations explains the answers"] = checks.history_faults(world)
        found["a client does not end"] = [each.name for each in threads if each.is_alive()]
        found["an answer has status 500"] = world.wrong
        history.close()
        return report.Outcome(
            seed=seed,
            seconds=seconds,
            hit=hit,
            statuses=dict(world.statuses),
            operations=len(history.operations),
            bundles=len(world.written),
            deleted=sum(1 for each in world.written.values() if each.deletion),
            contested=len(world.contested),
            checkouts=len(world.checkouts),
            settled=settled,
            memory={name: (memory.get(name, 0), size) for name, size in system.memory().items()},
            found=found,
        )


def _subscribe(world: World, server: Subscriber) -> None:
    """Subscribe twice: one answers, the other is always away."""
    for path in ("/ok", "/reset"):
        body = {"callback_url": server.url(path), "es_query": {"query": {"match_all": {}}}}
        answer = world.api().put("/v1/subscriptions", json=body, replica="gcp")
        assert answer.status_code in (200, 201), answer.text


def _make(system: ChaosSystem, faults: list[Fault], seconds: float) -> list[tuple[Fault, str]]:
    """Make all faults at their times, and return what each has hit."""
    began, pause = time.monotonic(), threading.Event()
    with ThreadPoolExecutor(_THREADS) as threads:
        made = []
        for fault in faults:
            pause.wait(max(0.0, began + fault.at - time.monotonic()))
            print(fault, flush=True)
            made.append((fault, threads.submit(system.inject, fault)))
        pause.wait(max(0.0, began + seconds - time.monotonic()))
        return [(fault, future.result()) for fault, future in made]


def _settle(world: World, server: Subscriber, system: ChaosSystem) -> tuple[float, dict[str, list[str]]]:
    """Check again and again until nothing is wrong; return after how many seconds, and what stays wrong."""
    began, pause = time.monotonic(), threading.Event()
    waiting = checks.checks(world, server, system.direct)
    while True:
        found = {name: check() for name, check in waiting.items()}
        waiting = {name: check for name, check in waiting.items() if found[name]}
        took = time.monotonic() - began
        print(f"{took:6.1f} s after the last fault: {len(waiting)} checks still find something", flush=True)
        for name in waiting:
            print(f"    {name}: {checks.summary(found[name], 1)}", flush=True)
        if not waiting or took > SETTLED:
            return took, found
        pause.wait(_AGAIN)


if __name__ == "__main__":
    sys.exit(main())
