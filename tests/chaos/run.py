"""A run: the system, its clients, its faults, and then the checks, until all hold or time is up."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.chaos import checks
from tests.chaos.clients import clients
from tests.chaos.clients.world import World
from tests.chaos.faults import inject
from tests.chaos.faults.base import Fault
from tests.chaos.history import History, clock
from tests.chaos.memory import outgrown
from tests.chaos.monitor import Monitor
from tests.chaos.report import Hit, Outcome
from tests.chaos.schedule import schedule
from tests.chaos.system import ChaosSystem, running
from tests.support.clouds import Clouds
from tests.support.subscriber import subscriber

# Seconds between two rounds of checks, and the longest that the last request of a client takes.
_AGAIN, _LAST_REQUEST = 2.0, 240
# Seconds by which clocks are ahead or behind: by so much later sweeps make good what was lost. In a short run
# they are less far apart. DSS_VERSION_AHEAD_SECONDS allows clients ten minutes.
CLOCKS_APART = 120.0
# Faults at once.
_THREADS = 24


def run(seed: int, seconds: float, output: Path, *, settled: float) -> Outcome:
    """Run the system with faults for so many seconds, and then check it, for `settled` seconds at most."""
    faults = schedule(seed, seconds)
    (output / "schedule.json").write_text(json.dumps([vars(each) for each in faults], indent=1))
    history = History(output / "history.jsonl")
    clocks_apart = min(CLOCKS_APART, seconds / 2)
    with subscriber() as server, running(output / "system", clocks_apart=clocks_apart) as system:
        world = World(
            env=system.env,
            direct=system.direct,
            clouds=Clouds(system.direct),
            history=history,
            server=server,
            clocks_apart=clocks_apart,
        )
        monitor = Monitor(world, system)
        world.open()
        subscribe(world)
        began = clock()
        with monitor.running() as measured:
            threads = clients(seed, world)
            for each in threads:
                each.start()
            hit = _make(system, faults, seconds)
            world.stop.set()
            took, found = _settle(world, settled)
            for each in threads:
                each.join(_LAST_REQUEST)
        found[checks.ORDER] = checks.history_faults(world)
        found["a client does not end"] = [each.name for each in threads if each.is_alive()]
        found["a process takes more memory than it is deployed with"] = outgrown(measured.largest)
        history.close()
        return Outcome(
            seed=seed,
            seconds=seconds,
            began=began,
            hit=hit,
            statuses=dict(world.statuses),
            done=_done(world),
            operations=history.operations,
            measured=measured,
            settled=took,
            found={**found, **world.wrong},
        )


def _done(world: World) -> Mapping[str, int]:
    return {
        "bundles acknowledged": len(world.written),
        "versions that two wrote": len(world.contested),
        "patches": sum(map(len, world.successors.values())),
        "versions of collections": sum(map(len, world.collections.values())),
        "checkouts": len(world.checkouts),
        "imports": len(world.imports),
        "purges": len(world.purged),
        **world.done,
    }


def subscribe(world: World) -> None:
    """Subscribe twice: one answers, the other is always away."""
    for path in ("/ok", "/reset"):
        body = {"callback_url": world.server.url(path), "es_query": {"query": {"match_all": {}}}}
        answer = world.api().put("/v1/subscriptions", json=body, replica="gcp")
        assert answer.status_code in (200, 201), answer.text


def _make(system: ChaosSystem, faults: Sequence[Fault], seconds: float) -> list[Hit]:
    """Make all faults at their times, and return what each has hit, and when it was over."""
    began, pause = time.monotonic(), threading.Event()

    def make(fault: Fault) -> Hit:
        start = clock()
        hit = inject(system, fault)
        return Hit(fault, hit, start, clock())

    with ThreadPoolExecutor(_THREADS) as threads:
        made = []
        for fault in faults:
            pause.wait(max(0.0, began + fault.at - time.monotonic()))
            print(fault, flush=True)
            made.append(threads.submit(make, fault))
        pause.wait(max(0.0, began + seconds - time.monotonic()))
        return [future.result() for future in made]


def _settle(world: World, settled: float) -> tuple[float, dict[str, list[str]]]:
    """Check again and again until nothing is wrong; return after how many seconds, and what stays wrong.

    What is right once is not looked at again.
    """
    began, pause = time.monotonic(), threading.Event()
    waiting = dict(checks.CHECKS)
    found: dict[str, list[str]] = {}
    while True:
        for name, check in waiting.items():
            print(f"{time.monotonic() - began:6.1f} s after the last fault: {name}?", flush=True)
            found[name] = check(world)
        waiting = {name: check for name, check in waiting.items() if found[name]}
        took = time.monotonic() - began
        print(f"{took:6.1f} s after the last fault: {len(waiting)} checks still find something", flush=True)
        for name in waiting:
            print(f"    {name}: {checks.summary(found[name], 1)}", flush=True)
        if not waiting or took > settled:
            return took, found
        pause.wait(_AGAIN)
