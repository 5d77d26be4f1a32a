"""Faults of single processes, which their own parents, which are no victims, start again."""

import contextlib
import os
import re
import resource
import signal
from pathlib import Path

from tests.chaos.faults.base import Fault
from tests.chaos.system import ChaosSystem

# Bytes that a process that is squeezed may still take.
_ROOM = 16 * 2**20


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
    """Let a process get little more memory for a while. It raises MemoryError, or dies of it."""
    pid = _chosen(system, fault)
    with contextlib.suppress(OSError):
        limit(pid, resource.RLIMIT_AS, _address_space(pid) + _ROOM)
        system.pause(fault.seconds)
        limit(pid, resource.RLIMIT_AS, resource.RLIM_INFINITY)
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


def _address_space(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    sizes = re.findall(r"VmSize:\s+(\d+) kB", status)
    return int(sizes[0]) * 1024 if sizes else 0


def _signal(pid: int, number: int) -> str:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return ""
    return str(pid)
