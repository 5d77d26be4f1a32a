"""The client beside `rclone copy`: many small files and a large one, to and from one GCS server, in turns.

Events wait in Pub/Sub meanwhile, so that nothing is replicated at the same time. rclone copies to and from
the staging bucket, of which nobody is notified. CPU time stands beside the time: other programs of the
machine disturb it less.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from shared.checksums import MIB
from tests.benchmarks.paused_stack import PausedStack, paused_stack
from tests.benchmarks.rclone import Rclone, rclone_version
from tests.benchmarks.sizes import sized

_SEED = 20260112
_BLOCK = MIB


@dataclass(frozen=True, kw_only=True)
class ClientLoad:
    """Files to move, of `smallest` to `largest` bytes; at most `most` times rclone's time.

    In so many `rounds`, and no further one begins after `seconds`.
    """

    name: str
    count: int
    smallest: int
    largest: int
    rounds: int
    seconds: float
    most: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One round of one contestant: seconds, and CPU seconds of itself and of the servers."""

    who: str
    way: str
    seconds: float
    cpu: dict[str, float]


SMALL = ClientLoad(
    name="2,000 files of 1 to 10 KB",
    count=2000,
    smallest=1000,
    largest=10_000,
    rounds=sized(3, 2),
    seconds=120,
    most={"upload": 2.0, "download": 1.5},
)
LARGE = ClientLoad(
    name="1 file of 1 GiB",
    count=1,
    smallest=1024 * MIB,
    largest=1024 * MIB,
    rounds=sized(3, 1),
    seconds=120,
    most={"upload": 1.0, "download": 1.0},
)


def client(loads: Sequence[ClientLoad] = (SMALL, LARGE)) -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    with paused_stack() as stack, tempfile.TemporaryDirectory() as scratch:
        race = _Race(stack, Path(scratch))
        sections = [_section(load, race.run(load)) for load in loads]
    about = (
        f"{rclone_version()}, at its defaults, against `dss` at its own. Events are paused meanwhile.\n"
        "`dss upload` of a large file ends when the DSS has verified its bytes and sent them to the other\n"
        "cloud; rclone copies to one.\n\n"
    )
    return about + "\n".join(sections)


class _Race:
    def __init__(self, stack: PausedStack, scratch: Path) -> None:
        self._stack = stack
        self._scratch = scratch
        self._rclone = Rclone(stack.env)
        self._environment = {**os.environ, **stack.env, "XDG_CACHE_HOME": str(scratch / "cache")}
        self._bucket = stack.env["DSS_GS_STAGING_BUCKET"]

    def run(self, load: ClientLoad) -> list[Moved]:
        """Return the figures of all rounds; who is first in one round is last in the next."""
        rows: list[Moved] = []
        ends = time.monotonic() + load.seconds
        for number in range(load.rounds):
            if rows and time.monotonic() > ends:
                break
            data = self._scratch / f"{load.count}-{number}"
            _make_files(data, load, seed=_SEED + number)
            contestants = [self._dss, self._with_rclone]
            for one in contestants if number % 2 else reversed(contestants):
                for row in one(data):
                    print(f"{load.name}, round {number + 1}: {row}", flush=True)
                    rows.append(row)
            _remove(data)
        return rows

    def _dss(self, data: Path) -> list[Moved]:
        copy = data.with_name(data.name + ".dss")
        lines: list[str] = []
        up = self._measured("dss", "upload", lambda: lines.extend(self._command("upload", data)))
        uuid = lines[0].partition(".")[0]
        down = self._measured("dss", "download", lambda: self._command("download", uuid, "--to", copy))
        _check_equal(data, copy)
        return [up, down]

    def _with_rclone(self, data: Path) -> list[Moved]:
        copy, remote = data.with_name(data.name + ".rclone"), f"gcs:{self._bucket}/{data.name}"
        up = self._measured("rclone", "upload", lambda: self._rclone.copy(str(data), remote))
        down = self._measured("rclone", "download", lambda: self._rclone.copy(remote, str(copy)))
        _check_equal(data, copy)
        return [up, down]

    def _command(self, *arguments: object) -> list[str]:
        program = Path(sys.executable).with_name("dss")
        answer = subprocess.run(
            [program, *map(str, arguments)],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return answer.stdout.splitlines()

    def _measured(self, who: str, way: str, work: Callable[[], object]) -> Moved:
        before, own, began = self._stack.cpu(), _cpu_of_children(), time.monotonic()
        work()
        seconds, after = time.monotonic() - began, self._stack.cpu()
        cpu = {name: used - before.get(name, 0.0) for name, used in after.items()}
        return Moved(who=who, way=way, seconds=seconds, cpu={who: _cpu_of_children() - own, **cpu})


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _make_files(directory: Path, load: ClientLoad, *, seed: int) -> None:
    directory.mkdir()
    generator = random.Random(seed)
    for number in range(load.count):
        left = generator.randint(load.smallest, load.largest)
        with (directory / f"{number:05d}.bin").open("wb") as file:
            while left:
                left -= file.write(generator.randbytes(min(left, _BLOCK)))


def _check_equal(data: Path, copy: Path) -> None:
    subprocess.run(["diff", "--recursive", "--brief", str(data), str(copy)], check=True)
    _remove(copy)


def _remove(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()


def _section(load: ClientLoad, rows: Sequence[Moved]) -> str:
    lines = [
        f"## {load.name}",
        "",
        "| | dss, s | rclone, s | ratio of medians | at most | CPU of dss, s | of rclone, s | ratio |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        _line(way, f"{most:g}", _of(rows, "dss", way), _of(rows, "rclone", way))
        for way, most in load.most.items()
    ]
    lines += ["", "CPU is that of all processes together, medians. Of each, without those below 0.1 s:", ""]
    lines += [
        f"- {way}, {who}: {_cpu(_of(rows, who, way))}" for way in load.most for who in ("dss", "rclone")
    ]
    return "\n".join([*lines, ""])


def _line(way: str, most: str, ours: Sequence[Moved], theirs: Sequence[Moved]) -> str:
    shown = [", ".join(f"{row.seconds:.1f}" for row in rows) for rows in (ours, theirs)]
    took, used = (
        [median(value(row) for row in rows) for rows in (ours, theirs)] for value in (_seconds_of, _cpu_of)
    )
    ratio, cpu_ratio = took[0] / took[1], used[0] / used[1]
    cells = [way, *shown, f"{ratio:.2f}", most, f"{used[0]:.1f}", f"{used[1]:.1f}", f"{cpu_ratio:.2f}"]
    return f"| {' | '.join(cells)} |"


def _seconds_of(row: Moved) -> float:
    return row.seconds


def _cpu_of(row: Moved) -> float:
    return sum(row.cpu.values())


def _of(rows: Sequence[Moved], who: str, way: str) -> list[Moved]:
    return [row for row in rows if (row.who, row.way) == (who, way)]


def _cpu(rows: Sequence[Moved]) -> str:
    names = sorted({name for row in rows for name in row.cpu})
    medians = {name: median(row.cpu.get(name, 0.0) for row in rows) for name in names}
    shown = sorted(medians.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {used:.1f}" for name, used in shown if used >= 0.1)
