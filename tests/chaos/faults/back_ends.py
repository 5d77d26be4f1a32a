"""Faults of the lines to back ends."""

from tests.chaos.faults.base import Fault
from tests.chaos.system import ChaosSystem

# Seconds by which each request over a slow line is late.
_DELAY = 0.3


def cut(system: ChaosSystem, fault: Fault) -> str:
    """End all connections."""
    system.lines.cut(fault.target)
    return fault.target


def slow(system: ChaosSystem, fault: Fault) -> str:
    """Delay each request for a while."""
    line = system.lines[fault.target]
    line.delay = _DELAY
    system.pause(fault.seconds)
    line.delay = 0.0
    return fault.target


def storm(system: ChaosSystem, fault: Fault) -> str:
    """Let nothing pass for a while."""
    return _refuse(system, fault, 503)


def throttle(system: ChaosSystem, fault: Fault) -> str:
    """Answer that there are too many requests."""
    return _refuse(system, fault, 429)


def break_down(system: ChaosSystem, fault: Fault) -> str:
    """Answer that the back end has failed."""
    return _refuse(system, fault, 500)


def _refuse(system: ChaosSystem, fault: Fault, status: int) -> str:
    line = system.lines[fault.target]
    line.status = status
    system.pause(fault.seconds)
    line.status = 0
    return fault.target
