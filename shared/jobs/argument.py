"""The argument of a run: a JSON object, checked option by option."""

from collections.abc import Mapping
from typing import Any

from shared.errors import IllegalArguments
from shared.system import Dss

# Cloud Workflows: an argument is at most 32 KB; no string in it needs as much.
_LONGEST = 1000


def checked_id(text: str) -> str:
    """Return the id of a run: ASCII letters, digits and dashes. Raises IllegalArguments."""
    if not text or len(text) > 100 or not text.replace("-", "").isalnum() or not text.isascii():
        raise IllegalArguments(
            f"run: {text[:80]!r} is not the id of a run: 1 to 100 letters, digits and dashes"
        )
    return text


class Argument:
    """The options of a run. Every method raises IllegalArguments, which names the wrong option."""

    def __init__(self, options: Any) -> None:
        if not isinstance(options, Mapping):
            raise IllegalArguments("argument: it must be a JSON object")
        self._left = dict(options)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string that is not empty, or the default; without a default, the option is required."""
        value = self._left.pop(name, None)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            raise IllegalArguments(f"{name}: it must be a string of 1 to {_LONGEST} characters")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; false if the option is missing."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise IllegalArguments(f"{name}: it must be true or false")
        return value

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        value = self._left.pop(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise IllegalArguments(f"{name}: it must be a whole number from {least} to {most}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings; empty if the option is missing."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise IllegalArguments(f"{name}: it must be a list of strings")
        return value

    def replicas(self, dss: Dss) -> list[str]:
        """Return the names in the option `replicas`; the names of all replicas if it is missing or empty."""
        names = self.texts("replicas")
        return [dss.replicas.named(name).name for name in names] or list(dss.replicas.names)

    def end(self) -> None:
        """Return if every option was read; this job type does not have any others."""
        if self._left:
            raise IllegalArguments(f"{sorted(self._left)[0]}: this job type has no such option")
