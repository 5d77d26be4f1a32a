"""The start of every command of an operator: settings of the environment, errors as `dss` prints them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from google.auth.exceptions import GoogleAuthError

from dss.errors import InvalidInput, OperationFailed, translated
from dss.transfer.vendor_errors import sentence_of
from run.admin.commands_log import log_command
from shared.config import Settings
from shared.errors import DssError, IllegalArguments
from shared.replicas import Replica
from shared.system import Dss

_LOGIN = "`gcloud auth application-default login`"


@contextmanager
def operator_settings() -> Iterator[Settings]:
    """Give the settings of the environment, and raise the service's errors as those of the command line.

    The command that asks for them leaves a line in the audit log.
    Raises InvalidInput if a setting, an argument or a credential is wrong, OperationFailed if a cloud fails.
    """
    with translated([(ValueError, lambda error: InvalidInput(str(error)))]):
        settings = Settings.from_environment()
    with translated(
        [
            (IllegalArguments, lambda error: InvalidInput(error.title)),
            (
                GoogleAuthError,
                lambda error: InvalidInput(
                    f"no usable Google Cloud credentials: {sentence_of(error, _LOGIN)}"
                ),
            ),
            (DssError, lambda error: OperationFailed(error.title)),
        ]
    ):
        _log_to_stderr()
        log_command(settings)
        yield settings


def _log_to_stderr() -> None:
    """Have what is logged go to standard error: standard output is the command's own, and may be JSON."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[structlog.processors.add_log_level, plain],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def replicas_named(dss: Dss, names: Sequence[str]) -> list[Replica]:
    """Return the replicas with these names, or all of them. Raises IllegalArguments for an unknown name."""
    return [dss.replicas.named(name) for name in names] or list(dss.replicas)
