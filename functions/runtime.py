"""The dependencies and the log that all functions of a process share."""

from functools import cache

from shared.config import Settings
from shared.logs import configure_logging
from shared.system import Dss
from shared.wiring import open_system


@cache
def system() -> Dss:
    """Return the dependencies of this process; the first call connects them."""
    settings = Settings.from_environment()
    configure_logging(settings.debug)
    return open_system(settings)
