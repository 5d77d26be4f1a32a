"""What is measured while a run goes on: the backlog, memory, files, documents, latency."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.errors import DssError
from shared.identifiers import Fqid
from tests.chaos.clients.world import World
from tests.chaos.history import clock
from tests.chaos.system import ChaosSystem

# Seconds between two looks at the backlog, and looks between two of memory, which costs more.
_LOOK, _MEMORY_EACH = 1.0, 10


@dataclass
class Measured:
    """Times in seconds by the clock of the history."""

    # Bundles that were acknowledged, and are not on every replica with their events published.
    backlog: list[tuple[float, int]] = field(default_factory=list)
    # When each bundle was acknowledged, and was first seen to be everywhere.
    settled: dict[str, tuple[float, float]] = field(default_factory=dict)
    # Bytes of the processes of each name together; the most that one of a name had.
    memory: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    largest: dict[str, int] = field(default_factory=dict)

    def recovered(self, at: float) -> float | None:
        """Return how long it took until all that was acknowledged at a time was everywhere; None if never."""
        before = [done for acknowledged, done in self.settled.values() if acknowledged <= at]
        return max((done - at for done in before), default=0.0) if before else None


class Monitor:
    """Looks at a running system in a thread of its own."""

    def __init__(self, world: World, system: ChaosSystem) -> None:
        self._world = world
        self._system = system
        self._end = threading.Event()
        self.measured = Measured()

    @contextlib.contextmanager
    def running(self) -> Iterator[Measured]:
        """Measure until the end of the block."""
        thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        thread.start()
        try:
            yield self.measured
        finally:
            self._end.set()
            thread.join(60)

    def _run(self) -> None:
        looks = 0
        while not self._end.wait(_LOOK):
            with contextlib.suppress(DssError):
                self._look_at_backlog()
            if looks % _MEMORY_EACH == 0:
                self._look_at_memory()
            looks += 1

    def _look_at_memory(self) -> None:
        found = self._system.memory()
        self.measured.memory.append((clock(), {name: sum(each) for name, each in found.items()}))
        for name, each in found.items():
            self.measured.largest[name] = max(self.measured.largest.get(name, 0), *each)

    def _look_at_backlog(self) -> None:
        with self._world.lock:
            waiting = {
                name: each
                for name, each in self._world.written.items()
                if name not in self.measured.settled and not each.deletion
            }
        fqids = [Fqid(each.bundle.uuid, each.bundle.version) for each in waiting.values()]
        heads = self._world.dss.catalog.bundles.get_many(fqids)
        replicas = frozenset(self._world.dss.replicas.names)
        done = {
            str(head.fqid) for head in heads.values() if head.available == replicas and not head.unpublished
        }
        now = clock()
        for name in done:
            self.measured.settled[name] = waiting[name].acknowledged, now
        self.measured.backlog.append((now, len(waiting) - len(done)))
