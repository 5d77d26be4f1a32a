"""Faults of the messages that Pub/Sub pushes to functions."""

from tests.chaos import pushes
from tests.chaos.faults.base import Fault
from tests.chaos.system import ChaosSystem


def lose(system: ChaosSystem, fault: Fault) -> str:
    """Acknowledge messages that never arrive."""
    return _while(system, fault, pushes.LOST)


def double(system: ChaosSystem, fault: Fault) -> str:
    """Push each message twice."""
    return _while(system, fault, pushes.DOUBLED)


def mute(system: ChaosSystem, fault: Fault) -> str:
    """Push messages, and lose the answers."""
    return _while(system, fault, pushes.UNANSWERED)


def reorder(system: ChaosSystem, fault: Fault) -> str:
    """Push each message later, by a time of its own."""
    return _while(system, fault, pushes.LATE)


def _while(system: ChaosSystem, fault: Fault, mode: str) -> str:
    line = system.pushes[fault.target]
    line.mode = mode
    system.pause(fault.seconds)
    line.mode = ""
    return fault.target
