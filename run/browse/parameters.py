"""The parameters of pages other than lists."""

from collections.abc import Iterable
from typing import Self

from werkzeug.datastructures import MultiDict

from shared.errors import IllegalArguments
from shared.identifiers import check_uuid, check_version

# Characters of a name, or of a path in a bundle: more than a name of the contract has.
_MOST_CHARACTERS = 4096
_MOST_NUMBER, _MOST_DIGITS = 10_000_000, 15


class Parameters:
    """The parameters of a page, each there once at most; empty ones count as missing."""

    def __init__(self, given: MultiDict[str, str]) -> None:
        self._given = given

    @classmethod
    def read(cls, given: MultiDict[str, str], *known: str) -> Self:
        """Return the parameters of a page that has these. Raises IllegalArguments, which names others."""
        refuse_unknown(given, known)
        refuse_repeated(given, given)
        return cls(given)

    def text(self, name: str) -> str:
        """Return a text, empty if it is missing. Raises IllegalArguments."""
        text = self._given.get(name, "")
        if len(text) > _MOST_CHARACTERS or "\0" in text:
            raise IllegalArguments(f"{name}: is longer than {_MOST_CHARACTERS} characters, or holds a null")
        return text

    def uuid(self, name: str) -> str:
        """Return a UUID. Raises IllegalArguments if it is missing, or none."""
        return check_uuid(self.text(name), name)

    def version(self, name: str = "version") -> str | None:
        """Return a version, None if it is missing. Raises IllegalVersion."""
        text = self._given.get(name)
        return check_version(text, name) if text else None

    def number(self, name: str, most: int = _MOST_NUMBER) -> int:
        """Return a number from 0 on, 0 if it is missing. Raises IllegalArguments."""
        text = self._given.get(name) or "0"
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) <= most):
            raise IllegalArguments(f"{name}: {text[:40]!r} is not a number from 0 to {most:,}")
        return int(text)


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise IllegalArguments, which names them, if there are parameters that a page does not have."""
    unknown = sorted({*given} - {*known})
    if unknown:
        names = ", ".join(name[:60] for name in unknown[:5])
        has = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise IllegalArguments(f"{names}: this page has no such parameter; {has}")


def refuse_repeated(given: MultiDict[str, str], names: Iterable[str]) -> None:
    """Raise IllegalArguments, which names it, if one of these is there more than once."""
    for name in names:
        if len(given.getlist(name)) > 1:
            raise IllegalArguments(f"{name[:100]}: is there more than once")
