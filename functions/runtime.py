"""What all functions of a process share: dependencies, made once, and the log."""

from functools import cache

from shared.config import Settings
from shared.logs import configure_logging
from shared.system import Dss
from shared.wiring import open_system


@cache
def system() -> Dss:
    """Return the dependencies of this process, connected at the first call."""
    configure_logging()
    return open_system(Settings.from_environment())
