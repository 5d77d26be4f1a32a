"""What a run is started with: a JSON object, checked option by option."""

from collections.abc import Mapping
from typing import Any

from shared.errors import IllegalArguments

# Cloud Workflows: an argument is at most 32 KB; no text in it needs as much.
_LONGEST = 1000


def checked_id(text: str) -> str:
    """Return the id of a run: what names of executions are made of. Raises IllegalArguments."""
    if not text or len(text) > 100 or not text.replace("-", "").isalnum() or not text.isascii():
        raise IllegalArguments(f"run: {text[:80]!r} is no id of a run")
    return text


class Argument:
    """The options of a run; every method raises IllegalArguments, naming the option that is wrong."""

    def __init__(self, options: Any) -> None:
        if not isinstance(options, Mapping):
            raise IllegalArguments("argument: a JSON object is wanted")
        self._left = dict(options)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that is not empty, or the default; where there is none, the option is required."""
        value = self._left.pop(name, None)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            raise IllegalArguments(f"{name}: a text of 1 to {_LONGEST} characters is wanted")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; false where it is not given."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise IllegalArguments(f"{name}: true or false is wanted")
        return value

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        value = self._left.pop(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise IllegalArguments(f"{name}: a whole number from {least} to {most} is wanted")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; an empty one where it is not given."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise IllegalArguments(f"{name}: a list of texts is wanted")
        return value

    def end(self) -> None:
        """Return where all options have been asked for; what is left is none of this kind's."""
        if self._left:
            raise IllegalArguments(f"{sorted(self._left)[0]}: there is no such option")
