"""Run the system under a light load without faults, and see that nothing grows: `python -m tests.chaos.soak`.

What is written stays, so that documents and stored objects are held against the bundles: each costs as many
at the end as at the beginning. Everything else has to stay as it is.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks.processes import own_bytes
from tests.chaos.clients import clients
from tests.chaos.clients.world import World
from tests.chaos.history import OK, READ, WRITE, History, clock
from tests.chaos.run import subscribe
from tests.chaos.system import ChaosSystem, running
from tests.support.api import Api
from tests.support.clouds import Clouds
from tests.support.subscriber import subscriber

# Seconds between two rounds of a client, about, and between two samples; of so many samples one counts the
# documents, for which Firestore's emulator looks at each of them.
_PAUSE, _EACH, _COUNTED = 1.0, 10.0, 12
# What is looked at, of the whole run: before, caches fill, and threads and connections are opened.
_SHARE = 2 / 3
# Emulators keep their data in memory, and this process the history.
_HOLD_DATA = frozenset(("java", "s3", "gcs", "postgres", "python", "workflows", "forkserver"))
# By how much something may grow within what is looked at, of its mean.
_MOST = 0.10
# Growth of one process that is noise: an allocator that takes another arena.
_NOISE_BYTES, _NOISE_COUNT = 8 * 2**20, 4
# By how much the latency may differ between the first and the last third of what is looked at.
_MOST_SLOWER = 1.5
_MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """What there is at a moment: of each name, bytes of memory, open files and threads of its processes.

    `documents` is None if they were not counted. `pace` is the seconds that a request takes that needs no
    back end: it tells how busy the machine is with other work.
    """

    at: float
    bundles: int
    memory: Mapping[str, int]
    open_files: Mapping[str, int]
    threads: Mapping[str, int]
    documents: int | None
    files: int
    pace: float


@dataclass
class Verdict:
    """What grows, and rows of the table that shows it."""

    wrong: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)

    def judge(self, name: str, times: Sequence[float], values: Sequence[float], noise: float) -> None:
        """Add a row of something that should not grow.

        What has grown once, as a function does when it works for the first time, and stays so, does not grow:
        the later half has to grow as fast by itself.
        """
        slope, growth = fitted(times, values)
        mean, half = statistics.fmean(values), len(values) // 2
        most = max(_MOST * mean, noise)
        grows = growth > most and fitted(times[half:], values[half:])[1] > most / 2
        self.rows.append(f"| {name} | {values[0]:,.1f} | {values[-1]:,.1f} | {slope * 3600:+,.1f} |")
        if grows:
            self.wrong.append(f"{name}: grew by {growth:,.1f} from {mean:,.1f}, {slope * 3600:,.1f} an hour")


def fitted(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the line through values, a second, and by how much it rises from first to last."""
    if len(values) < 2 or len(set(values)) == 1:
        return 0.0, 0.0
    slope = statistics.linear_regression(times, values).slope
    return slope, slope * (times[-1] - times[0])


def main() -> int:
    """Return 0 if nothing grows, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=Path("build/soak"), help="where the figures go")
    arguments = parser.parse_args()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    history = History(output / "history.jsonl")
    with subscriber() as server, running(output / "system", clocks_apart=0) as system:
        world = World(
            env=system.env, direct=system.direct, clouds=Clouds(system.direct), history=history, server=server
        )
        world.open()
        subscribe(world)
        threads = clients(1, world, light=True, pause=_PAUSE)
        for each in threads:
            each.start()
        samples = list(_samples(world, system, output / "system", arguments.minutes * 60))
        world.stop.set()
        for each in threads:
            each.join(60)
    (output / "samples.json").write_text(json.dumps([asdict(each) for each in samples], indent=1))
    verdict = judge(samples, history)
    verdict.wrong += [f"{what}: {found[0]}" for what, found in world.wrong.items()]
    (output / "report.md").write_text(page(verdict, samples, history))
    print((output / "report.md").read_text(), flush=True)
    return 1 if verdict.wrong else 0


def _samples(world: World, system: ChaosSystem, data: Path, seconds: float) -> Iterator[Sample]:
    ends, pause = time.monotonic() + seconds, threading.Event()
    number, is_last = 0, False
    while not is_last:
        pause.wait(_EACH)
        is_last = time.monotonic() >= ends
        number += 1
        yield Sample(
            at=clock(),
            bundles=len(world.written),
            memory=_by_name(system, own_bytes),
            open_files=_by_name(system, lambda pid: len([*Path(f"/proc/{pid}/fd").iterdir()])),
            threads=_by_name(system, lambda pid: len([*Path(f"/proc/{pid}/task").iterdir()])),
            documents=_documents(world) if is_last or number % _COUNTED == 1 else None,
            files=sum(1 for path in data.rglob("*") if path.is_file() and not _is_data(path, data)),
            pace=_pace(world.api()),
        )
        print(f"{clock():.0f}: {len(world.written)} bundles", flush=True)


def _pace(api: Api) -> float:
    """Return the median of a few requests that need no back end, in seconds."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        api.get("/version")
        took.append(time.monotonic() - began)
    return statistics.median(took)


def _is_data(path: Path, data: Path) -> bool:
    """Return whether a file is what GCS or PostgreSQL keep."""
    return path.relative_to(data).parts[0] in ("gcs", "postgresql")


def _by_name(system: ChaosSystem, measure: Callable[[int], int]) -> dict[str, int]:
    found = system.measured(measure).items()
    return {name: sum(each) for name, each in found if name not in _HOLD_DATA}


def _documents(world: World) -> int:
    database = world.dss.catalog.database
    return sum(database.count(collection) for collection in database.client.collections())


def judge(samples: Sequence[Sample], history: History) -> Verdict:
    """Return what grows in the later part of a run."""
    verdict = Verdict()
    looked_at = samples[-max(2, round(len(samples) * _SHARE)) :]
    times = [each.at for each in looked_at]
    for name in sorted(looked_at[-1].memory):
        values = [each.memory.get(name, 0) / _MIB for each in looked_at]
        verdict.judge(f"memory of {name}, MiB", times, values, _NOISE_BYTES / _MIB)
    for what in ("open_files", "threads"):
        for name in sorted(looked_at[-1].memory):
            values = [float(getattr(each, what).get(name, 0)) for each in looked_at]
            verdict.judge(f"{what.replace('_', ' ')} of {name}", times, values, _NOISE_COUNT)
    verdict.judge("files that are no data", times, [float(each.files) for each in looked_at], _NOISE_COUNT)
    _judge_documents(verdict, looked_at)
    third = max(1, len(looked_at) // 3)
    paces = [statistics.median(one.pace for one in part) for part in (looked_at[:third], looked_at[-third:])]
    verdict.rows.append(
        f"| a request without back end, ms | {paces[0] * 1000:.1f} | {paces[1] * 1000:.1f} | |"
    )
    for action in (READ, WRITE):
        _judge_latency(verdict, action, history, times[0], paces[1] / paces[0])
    return verdict


def _judge_documents(verdict: Verdict, samples: Sequence[Sample]) -> None:
    """Hold the documents that a bundle costs in the second half against those in the first."""
    counted = [(each.documents, each.bundles) for each in samples if each.documents is not None]
    if len(counted) < 3:
        verdict.wrong.append(f"documents: {len(counted)} counts tell nothing; take more minutes")
        return
    middle = counted[len(counted) // 2]
    costs = [
        (after[0] - before[0]) / max(1, after[1] - before[1])
        for before, after in ((counted[0], middle), (middle, counted[-1]))
    ]
    verdict.rows.append(f"| documents for each bundle, in either half | {costs[0]:.1f} | {costs[1]:.1f} | |")
    if costs[1] > costs[0] * (1 + 2 * _MOST):
        verdict.wrong.append(f"documents: a bundle costs {costs[1]:.1f}, before {costs[0]:.1f}")


def _judge_latency(verdict: Verdict, action: str, history: History, since: float, busier: float) -> None:
    """Hold the median latency of the last third against the first; the machine may be so much busier."""
    found = sorted(
        (each.start, each.end - each.start)
        for each in history.operations
        if each.action == action and each.outcome == OK and each.start >= since
    )
    third = len(found) // 3
    if third < 10:
        verdict.wrong.append(f"latency of {action}: {len(found)} operations tell nothing; take more minutes")
        return
    first, last = (statistics.median(each for _, each in part) for part in (found[:third], found[-third:]))
    verdict.rows.append(f"| median latency of a {action}, ms | {first * 1000:.0f} | {last * 1000:.0f} | |")
    if last > first * _MOST_SLOWER * max(1.0, busier):
        verdict.wrong.append(f"latency of {action}: {last * 1000:.0f} ms, before {first * 1000:.0f}")


def page(verdict: Verdict, samples: Sequence[Sample], history: History) -> str:
    """Return the report as Markdown."""
    minutes = (samples[-1].at - samples[0].at) / 60
    lines = [
        *("# A soak", "", f"{minutes:.1f} minutes, {samples[-1].bundles} bundles,"),
        f"{len(history.operations)} operations. The later two thirds of it:",
        *("", "| | first | last | an hour, by a line through all |", "| --- | ---: | ---: | ---: |"),
        *verdict.rows,
        *("", *(f"GROWS: {each}" for each in verdict.wrong)),
    ]
    return "\n".join(lines if verdict.wrong else [*lines, "Nothing grows."]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
