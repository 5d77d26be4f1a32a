"""Faults of single processes, which their own parents, which are no victims, start again."""

import contextlib
import os
import resource
import signal
import time
from pathlib import Path

from tests.chaos.faults.base import Fault
from tests.chaos.system import ChaosSystem

# Bytes that a process that is squeezed may still take, and seconds between two looks at what it has.
_ROOM, _LOOK = 4 * 2**20, 0.02


def kill(system: ChaosSystem, fault: Fault) -> str:
    """Kill a process."""
    pid = _chosen(system, fault)
    return _signal(pid, signal.SIGKILL) if pid else ""


def freeze(system: ChaosSystem, fault: Fault) -> str:
    """Stop a process for a while."""
    pid = _chosen(system, fault)
    if not pid or not _signal(pid, signal.SIGSTOP):
        return ""
    system.pause(fault.seconds)
    return _signal(pid, signal.SIGCONT)


def squeeze(system: ChaosSystem, fault: Fault) -> str:
    """Kill a process if it takes little more memory within a while, as Cloud Run does at the limit.

    No system call fails, unlike with RLIMIT_AS: then gRPC and gunicorn, who can't start a thread, leave a
    process that lives and never works again, which does not happen in a container.
    """
    pid = _chosen(system, fault)
    with contextlib.suppress(OSError):
        most, ends = resident(pid) + _ROOM, time.monotonic() + fault.seconds
        while time.monotonic() < ends:
            if resident(pid) > most:
                return _signal(pid, signal.SIGKILL)
            system.pause(_LOOK)
        return str(pid)
    return ""


def limit(pid: int, what: int, soft: int) -> None:
    """Set a limit of a process, which may be lifted later. Raises OSError if there is no such process."""
    if not pid:
        raise ProcessLookupError
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, hard))


def _chosen(system: ChaosSystem, fault: Fault) -> int:
    """Return the id of a process of the target; 0 if there is none at this moment."""
    workers = system.workers(fault.target)
    return workers[int(fault.at * 1000) % len(workers)] if workers else 0


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has. Raises OSError if there is no such process."""
    pages = Path(f"/proc/{pid or 'none'}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def _signal(pid: int, number: int) -> str:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return ""
    return str(pid)
