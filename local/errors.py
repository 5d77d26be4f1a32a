"""Why the local system cannot run, each with a message for the person who started it.

LocalError
├── MissingRequirements       the machine lacks a program or a package
├── PortInUse                 another program listens on the API's port
├── DataDirectoryInUse        the data directory holds other data, or another stack uses it
├── ComponentFailed           a component ended, or was not ready in time
└── StartInterrupted          a signal came while the system started
"""

from collections.abc import Sequence


class LocalError(Exception):
    """The local system cannot run, or has stopped; the text says why, and what to do."""


class MissingRequirements(LocalError):
    """The machine lacks something; each line names one requirement and the command that installs it."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(("This machine lacks:", *(f"  {line}" for line in lines))))
        self.lines = lines


class PortInUse(LocalError):
    """The API's port is taken."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} is in use by another program; choose another with --port (0: a free one)."
        )


class DataDirectoryInUse(LocalError):
    """The data directory cannot be used; the text says why."""


class ComponentFailed(LocalError):
    """A component ended, or was not ready in time; carries its name and the end of its log."""

    def __init__(self, name: str, what: str, log_tail: str = "") -> None:
        text = f"{name} {what}"
        if log_tail:
            text += f"; the end of its log:\n{log_tail}"
        super().__init__(text)
        self.name = name


class StartInterrupted(LocalError):
    """A signal came before the system was ready."""

    def __init__(self) -> None:
        super().__init__("Stopped before the system was ready.")
