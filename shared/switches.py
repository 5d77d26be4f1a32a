"""The switches of operators, as each process obeys them: read-only, and stopped.

A process reads the document of both (shared/catalog/switches.py) at most every two seconds, and only while it
has work that asks. So no request pays for it, and a change is obeyed everywhere within five seconds.
"""

import threading
import time
from collections.abc import Callable

from shared.catalog import SCHEMA, SwitchCatalog, Switches
from shared.deadlines import deadline, limited
from shared.errors import DssError, Outdated, ReadOnly, Stopped

# Seconds after which a switch is read again, and after which nobody goes on with an older one.
_FRESH_SECONDS = 2.0
_OLDEST_SECONDS = 4.0
# The longest time for one read.
_READ_SECONDS = 3.0


class LiveSwitches:
    """The switches of a deployment, at most five seconds old; threads may share it."""

    def __init__(
        self,
        catalog: SwitchCatalog,
        *,
        read_only_mode: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._read_only_mode = read_only_mode
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known = Switches()
        self._read_at = float("-inf")

    def current(self) -> Switches:
        """Return the switches. While the catalog does not answer, they are those last read.

        Before the first answer that is none: without the catalog nothing is written anyway.
        """
        age = self._monotonic() - self._read_at
        if age < _FRESH_SECONDS:
            return self._known
        # One thread reads; the others wait only if what they know is too old.
        if self._lock.acquire(blocking=age >= _OLDEST_SECONDS):
            try:
                if self._monotonic() - self._read_at >= _FRESH_SECONDS:
                    self._read()
            finally:
                self._lock.release()
        return self._known

    def _read(self) -> None:
        began = self._monotonic()
        try:
            # A request that waits for this has its own work to do, too.
            with deadline(time.monotonic() + limited(_READ_SECONDS)):
                self._known = self._catalog.get()
        except DssError:
            # What needs the catalog fails by itself; until it answers, ask no more often.
            began = self._monotonic()
        self._read_at = began

    def check_writes(self, *, what: str = "") -> None:
        """Raise ReadOnly if writes are refused, and Outdated if this release may not write.

        `what` says why the request is a write, if that is not plain.
        """
        also = f", and {what} is a write" if what else ""
        if self._read_only_mode:
            raise ReadOnly(f"this deployment is read-only at present{also}; try again later")
        known = self.current()
        self._check_schema(known)
        if switch := known.read_only:
            raise ReadOnly(f"this deployment is read-only at present{also}: {switch.reason}; try again later")

    def check_running(self) -> None:
        """Raise Stopped if work in the background is to wait, and Outdated if this release may not do it."""
        known = self.current()
        self._check_schema(known)
        if switch := known.stopped:
            raise Stopped(f"stopped by an operator: {switch.reason}")

    @staticmethod
    def _check_schema(known: Switches) -> None:
        if why := outdated(known):
            raise Outdated(why)


def outdated(known: Switches) -> str:
    """Return why this release may not write; empty if it may."""
    if known.schema <= SCHEMA:
        return ""
    return (
        f"this process is of a release that knows schema {SCHEMA} of the catalog, which has schema "
        f"{known.schema}; deploy the release that has migrated it, or a newer one"
    )
