"""Which faults come when: the same for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

# Kinds of faults, and what they hit.
KILL, FREEZE, RESTART, CUT, SLOW, STORM = "kill", "freeze", "restart", "cut", "slow", "storm"
# Processes that their supervisor, or the platform, starts again.
WORKERS = ("api", "index", "sync", "notify", "explore", "deliver", "checkout", "copy", "sweep")
# Components that keep their state on disk, or have none.
COMPONENTS = ("gcs", "push")
BACK_ENDS = ("firestore", "gcs", "s3", "pubsub", "postgresql")
_TARGETS = {
    KILL: (*WORKERS, "postgres"),
    FREEZE: WORKERS,
    RESTART: COMPONENTS,
    CUT: BACK_ENDS,
    SLOW: BACK_ENDS,
    STORM: BACK_ENDS,
}
# Seconds that a fault lasts, for kinds that last.
_SHORTEST, _LONGEST = 0.5, 8.0
_LASTING = (FREEZE, SLOW, STORM)
# Seconds between the beginnings of two faults, on average: several are under way at any time.
_APART = 1.5
# Before the first fault, and after the last one, seconds with none.
CALM = 5.0


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


def schedule(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of a run of so many seconds, in order of time. None lasts beyond its end."""
    return sorted(_faults(random.Random(seed), seconds))


def _faults(chance: random.Random, seconds: float) -> Iterator[Fault]:
    at = CALM
    while (at := at + chance.expovariate(1 / _APART)) < seconds - CALM:
        kind = chance.choice([*_TARGETS])
        lasting = chance.uniform(_SHORTEST, _LONGEST) if kind in _LASTING else 0.0
        yield Fault(round(at, 3), kind, chance.choice(_TARGETS[kind]), round(min(lasting, seconds - at), 3))
