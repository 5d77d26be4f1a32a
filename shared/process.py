"""What every process of a service begins with: its settings, and its log."""

import sys

from shared.config import Settings
from shared.logs import configure_logging

# gunicorn ends when a worker exits with this, and starts another one after any other code.
_WORKER_BOOT_ERROR = 3


def begin() -> Settings:
    """Return the settings of this process, whose log is configured by them.

    A setting that is missing or wrong is one line on standard error, and the end of the process.
    """
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        print(f"This process can't start: {error}", file=sys.stderr, flush=True)
        sys.exit(_WORKER_BOOT_ERROR)
    configure_logging(settings.debug)
    return settings
