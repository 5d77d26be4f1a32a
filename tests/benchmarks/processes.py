"""CPU time and names of processes. Linux only (/proc)."""

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# What is looked for in a command line, and what the process is called in the report.
_BACK_ENDS = {"CloudFirestore": "Firestore", "gcs_server": "GCS", "local.servers.s3": "S3"}


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and those it started have had, in seconds."""
    # The name of the command, in parentheses, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS + sum(map(cpu_seconds, _children(pid)))


def back_ends() -> dict[str, int]:
    """Return the ids of the emulators that this process has started, by name."""
    return started(_BACK_ENDS)


def started(names: Mapping[str, str]) -> dict[str, int]:
    """Return the ids of processes that this one has started, by what texts in their commands stand for.

    The text is `[NAME] COMMAND`, with the name that the process has given itself. Those that started others
    of the same name count with them.
    """
    found: dict[str, int] = {}
    waiting = _children(os.getpid())
    for pid in waiting:
        place = Path(f"/proc/{pid}")
        own = (place / "comm").read_text().strip()
        command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for text, name in names.items():
            if text in f"[{own}] {command}":
                found.setdefault(name, pid)
        waiting += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    # Each thread has a list of the processes that it started.
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for text in lists for child in text.split()]
