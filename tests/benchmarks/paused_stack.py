"""The whole system with its events paused: they wait in Pub/Sub until a benchmark has them pushed."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.components import TABLE
from local.components.latency import delayed
from local.stack import Stack
from run.admin.deliveries import Deliveries
from shared.config import Settings
from tests.benchmarks.processes import cpu_of, descendants
from tests.benchmarks.sync_log import SyncLog

# Texts in command lines, and the names of these processes in the report.
NAMES = {
    "[api]": "API",
    "[sync]": "sync",
    "[s3_events]": "s3_events",
    "[copy]": "copy",
    "[checkout]": "checkout",
    "[index]": "index",
    "[notify]": "notify",
    "[explore]": "explore",
    "postgres -D": "PostgreSQL",
    "[workflows]": "workflows",
    "[push]": "push",
    "[gcs]": "GCS",
    "[s3]": "S3",
    "CloudFirestore": "Firestore",
    "cloud-pubsub-emulator": "Pub/Sub",
}


class PausedStack:
    """A running system; `env` is what `Stack.running` hands out."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self._logs = Path(env["DSS_LOCAL_DATA"]) / "logs"
        self._deliveries = Deliveries(Settings.from_environment(env))
        self._pushes = self._deliveries.pushes()
        for schedule in self._deliveries.schedules():
            self._deliveries.set_schedule(schedule, on=False)
        self._pause()

    def sync_log(self) -> SyncLog:
        """Return the log of `sync`, from now on."""
        return SyncLog(self._logs / "sync.log")

    @contextlib.contextmanager
    def pushed(self) -> Iterator[None]:
        """Push events to the functions within the block, those that have waited first."""
        for name, push in self._pushes.items():
            self._deliveries.set_push(name, push)
        try:
            yield
        finally:
            self._pause()

    def _pause(self) -> None:
        for name in self._pushes:
            self._deliveries.set_push(name, {})

    def cpu(self) -> dict[str, float]:
        """Return the CPU time that each process of the system has had, in seconds, by name."""
        return cpu_of(descendants(NAMES))


@contextlib.contextmanager
def paused_stack(milliseconds: float = 0) -> Iterator[PausedStack]:
    """Run the whole system without pushing its events. Raises LocalError.

    `milliseconds` pass before every request to GCS, S3 and Firestore.
    """
    stack = Stack(port=0, table=delayed(TABLE, milliseconds) if milliseconds else TABLE)
    with stack.running() as env:
        yield PausedStack(env)


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the CPU seconds that each process had in between, most first."""
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    return dict(sorted(used.items(), key=lambda item: -item[1]))


def busy_cores(before: Mapping[str, float], after: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return how many cores each process used, most first; leave out those below 0.05."""
    cores = {name: used / seconds for name, used in spent(before, after).items()}
    return {name: used for name, used in cores.items() if used >= 0.05}
