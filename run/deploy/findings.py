"""What a check finds, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """What a check found: only `WRONG` keeps a deployment from working."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was checked: `says` what is there, `do` what to do, if anything."""

    check: str
    state: State
    says: str
    do: str = ""

    def as_json(self) -> dict[str, str]:
        """Return its fields."""
        return asdict(self)


def ok(check: str, says: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check=check, state=State.OK, says=says)


def wrong(check: str, says: str, do: str) -> Finding:
    """Return that something keeps the deployment from working."""
    return Finding(check=check, state=State.WRONG, says=says, do=do)


def warning(check: str, says: str, do: str) -> Finding:
    """Return that something may keep a part of it from working."""
    return Finding(check=check, state=State.WARNING, says=says, do=do)


def unknown(check: str, says: str, do: str = "") -> Finding:
    """Return that something could not be found out."""
    return Finding(check=check, state=State.UNKNOWN, says=says, do=do)
