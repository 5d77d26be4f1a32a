"""The options of a catalogue of the plug-in `generic`, checked."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from shared.explore.fields import FieldType

Path = tuple[str, ...]

# Each facet is a part of every file's and bundle's document.
MOST_FACETS = 50
MOST_STEPS = 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TYPES = {each.value: each for each in (FieldType.TEXT, FieldType.FLAG, FieldType.NUMBER, FieldType.DATE)}
_COUNTED = frozenset((FieldType.TEXT, FieldType.FLAG))


@dataclass(frozen=True, kw_only=True)
class Facet:
    """A field of a catalogue: its name, and where in the JSON metadata files of bundles its values are.

    `file` is a glob of the names of these files, with `*` for any characters.
    """

    name: str
    path: Path
    type: FieldType = FieldType.TEXT
    file: str = "*"

    @property
    def is_counted(self) -> bool:
        """Whether its values are counted; numbers and dates are found by ranges instead."""
        return self.type in _COUNTED


_KEYS = {each.name for each in fields(Facet)} - {"name"}


def parse_facets(given: Any, taken: Collection[str]) -> tuple[Facet, ...]:
    """Return the facets of the option `facets`; `taken` are names that other fields have.

    Raises ValueError, which names the facet and says what is wrong.
    """
    if not isinstance(given, Mapping):
        raise ValueError("facets: must be an object of names and paths")
    if len(given) > MOST_FACETS:
        raise ValueError(f"facets: there are {len(given)}, at most {MOST_FACETS} are possible")
    return tuple(_facet(name, about, taken) for name, about in given.items())


def _facet(name: str, about: Any, taken: Collection[str]) -> Facet:
    option = f"facets.{name}"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{option}: a name is a letter, and then up to 63 letters, digits and _")
    if name in taken:
        raise ValueError(f"{option}: every catalogue has a field of this name; choose another one")
    if isinstance(about, str | list):
        about = {"path": about}
    if not isinstance(about, Mapping) or not {"path"} <= about.keys() <= _KEYS:
        raise ValueError(
            f"{option}: must be a path, or an object with `path` and perhaps `file` and `type`, is {about!r}"
        )
    kind, file = about.get("type", FieldType.TEXT.value), about.get("file", "*")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError(f"{option}: the type must be one of {', '.join(_TYPES)}, is {kind!r}")
    path = parse_path(option, about["path"])
    return Facet(name=name, path=path, type=_TYPES[kind], file=parse_glob(f"{option}: file", file))


def parse_path(option: str, given: Any) -> Path:
    """Return the keys of a path: `sample.organism`, perhaps with `$.` before it, or a list of keys.

    Lists on the way need no step: each of their elements is looked into. Raises ValueError.
    """
    path = given
    if isinstance(given, str):
        path = given.removeprefix("$.").split(".")
        if any(character in given for character in "[]*"):
            raise ValueError(
                f"{option}: the path {given!r} has brackets or *; lists need no step, and a list of keys"
                " may hold any character"
            )
    if not isinstance(path, list) or not all(isinstance(key, str) and key for key in path):
        raise ValueError(
            f"{option}: a path is keys joined by dots, as sample.organism, or a list of keys, not {given!r}"
        )
    if not 1 <= len(path) <= MOST_STEPS:
        raise ValueError(f"{option}: a path has 1 to {MOST_STEPS} keys, not {len(path)}")
    return tuple(path)


def parse_words(given: Any) -> tuple[Path, ...]:
    """Return the paths of the option `words`. Raises ValueError."""
    if not isinstance(given, list | tuple) or len(given) > MOST_FACETS:
        raise ValueError(f"words: must be a list of at most {MOST_FACETS} paths")
    return tuple(parse_path(f"words[{number}]", each) for number, each in enumerate(given))


def parse_glob(option: str, given: Any) -> str:
    """Return a glob of names of files. Raises ValueError if it is no text."""
    if not isinstance(given, str):
        raise ValueError(f"{option}: must be a text, a name of files with * for any characters")
    return given
