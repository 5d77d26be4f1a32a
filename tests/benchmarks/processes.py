"""CPU time and names of processes. Linux only (/proc)."""

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# Texts in command lines, and the names of these processes in the report.
_BACK_ENDS = {"CloudFirestore": "Firestore", "[gcs]": "GCS", "[s3]": "S3"}


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants."""
    # The name of the command, in parentheses, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS + sum(map(cpu_seconds, children(pid)))


def resident_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants; what several of them share counts in parts."""
    return own_bytes(pid) + sum(map(resident_bytes, children(pid)))


def own_bytes(pid: int) -> int:
    """Return the memory of a process alone; what it shares with others counts in parts."""
    [line] = [
        line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")
    ]
    return int(line.split()[1]) * 1024


def thread_seconds(pid: int) -> float:
    """Return the CPU seconds of the first thread of a process, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def cpu_of(processes: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of processes with their descendants, by name; `processes` has their ids."""
    return {name: cpu_seconds(pid) for name, pid in processes.items()}


def used_since(before: Mapping[str, float], processes: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds that processes have used by name, since `cpu_of` them was `before`."""
    return {name: cpu - before[name] for name, cpu in cpu_of(processes).items()}


def pin(pid: int, cores: Collection[int]) -> None:
    """Have a process, all of its threads and its descendants use some cores only."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread.name), cores)
    for child in children(pid):
        pin(child, cores)


def back_ends() -> dict[str, int]:
    """Return the ids of the emulators that this process has started, by name."""
    return descendants(_BACK_ENDS)


def descendants(names: Mapping[str, str]) -> dict[str, int]:
    """Return the ids of descendants of this process, by the name of the text that their command contains.

    A text is looked for in `[NAME] COMMAND`, where NAME is the one that the process gave itself. Of several
    processes of one name the topmost counts.
    """
    found: dict[str, int] = {}
    waiting = children(os.getpid())
    for pid in waiting:
        title = _title(pid)
        for text, name in names.items():
            if text in title:
                found.setdefault(name, pid)
        waiting += children(pid)
    return found


def _title(pid: int) -> str:
    """Return `[NAME] COMMAND` of a process; nothing if it has ended."""
    place = Path(f"/proc/{pid}")
    try:
        own = (place / "comm").read_text().strip()
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return f"[{own}] {command}"


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started; none if it has ended."""
    found: list[int] = []
    # Each thread has a list of the processes that it started.
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found
