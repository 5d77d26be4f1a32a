"""Which faults come when: the same for the same seed."""

import random
from collections.abc import Iterator

from tests.chaos.faults import KINDS
from tests.chaos.faults.base import Fault

# Seconds that a fault lasts, of a kind that lasts.
_SHORTEST, _LONGEST = 0.5, 8.0
# Seconds between the beginnings of two faults, on average: several are under way at any time. In a short run
# they come closer together, so that there are about so many.
_APART, _FEWEST = 1.5, 60
# Before the first fault, and after the last one, seconds with none.
CALM = 5.0


def schedule(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of a run of so many seconds, in order of time. None lasts beyond its end."""
    return sorted(_faults(random.Random(seed), seconds))


def _faults(chance: random.Random, seconds: float) -> Iterator[Fault]:
    at, apart = CALM, min(_APART, (seconds - 2 * CALM) / _FEWEST)
    while (at := at + chance.expovariate(1 / apart)) < seconds - CALM:
        kind = chance.choice(KINDS)
        lasting = chance.uniform(_SHORTEST, _LONGEST) if kind.lasts else 0.0
        target = chance.choice(kind.targets)
        yield Fault(round(at, 3), kind.name, target, round(min(lasting, seconds - at), 3))
