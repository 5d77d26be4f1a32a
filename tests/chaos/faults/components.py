"""Faults of whole components: emulators, and what stands for a service of a cloud."""

import contextlib
import resource

from tests.chaos.faults.base import POSTGRES, Fault
from tests.chaos.faults.processes import limit
from tests.chaos.system import ChaosSystem


def restart(system: ChaosSystem, fault: Fault) -> str:
    """Kill a component, and start it again."""
    if fault.target == "firestore":
        system.restart_firestore()
    else:
        system.restart(fault.target)
    return fault.target


def fill(system: ChaosSystem, fault: Fault) -> str:
    """Let a component write no byte to a file: what it writes fails, as on a full disk.

    PostgreSQL's processes end all together if its log can't be written; those that it then starts can write.
    """
    pids = system.workers(POSTGRES) if fault.target == "postgresql" else [system.pid(fault.target)]
    if not any(pids):
        return ""
    for pid in pids:
        with contextlib.suppress(OSError):
            limit(pid, resource.RLIMIT_FSIZE, 0)
    system.pause(fault.seconds)
    for pid in pids:
        with contextlib.suppress(OSError):
            limit(pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    return fault.target
