"""A fault, and what a kind of faults is."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.system import ChaosSystem

# Processes that their supervisor, or the platform, starts again.
WORKERS = ("api", "index", "sync", "notify", "explore", "deliver", "checkout", "copy", "importer", "sweep")
POSTGRES = "postgres"


@dataclass(frozen=True, order=True)
class Fault:
    """A fault of a kind that hits a target `at` so many seconds after the start, and lasts `seconds`."""

    at: float
    kind: str
    target: str
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.kind} {self.target}{lasting}"


@dataclass(frozen=True, kw_only=True)
class FaultKind:
    """What faults of a kind hit, and what makes one.

    `make` returns when the fault is over: what it has hit, nothing if there was nothing to hit.
    """

    name: str
    about: str
    targets: tuple[str, ...]
    make: Callable[[ChaosSystem, Fault], str]
    lasts: bool = False
