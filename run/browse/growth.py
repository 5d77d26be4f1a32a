"""How a catalogue grew: files and bytes by day, month or year, by the times of the files' versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from run.api.call import Call
from run.browse.answers import FILES, growth
from shared.errors import NotFound
from shared.explore.catalogues import Catalogue
from shared.explore.query import Summed

# The field that has the versions of files, as the plug-ins of this package call it.
_VERSION = "fileVersion"
# The longest chart; and the characters of a time that name a day, a month or a year.
_MOST_ROWS = 60
_PERIODS = (("Day", 10), ("Month", 7), ("Year", 4))


@dataclass(frozen=True, kw_only=True)
class Period:
    """A day, month or year: what came in it, and what there is at its end. Sizes are bytes."""

    name: str
    files: int
    size: int
    all_files: int
    all_size: int


def periods_of(call: Call, catalogue: Catalogue) -> tuple[str, list[Period]]:
    """Return what the periods of a catalogue's growth are, and these, in order of time; empty ones left out.

    Files that are there no more do not count, nor those that the caller may not see. Raises NotFound if the
    catalogue does not know the versions of files.
    """
    if FILES not in catalogue.listed or _VERSION not in catalogue.fields:
        raise NotFound(f"catalogue {catalogue.name} does not know since when its files are there")
    return periods(growth(call, catalogue, _VERSION))


def periods(days: Sequence[Summed]) -> tuple[str, list[Period]]:
    """Return days as the shortest periods of which there are at most 60; or the last 60 years."""
    found = ((kind, _grouped(days, length)) for kind, length in _PERIODS)
    kind, made = next((each for each in found if len(each[1]) <= _MOST_ROWS), ("Year", _grouped(days, 4)))
    return kind, made[-_MOST_ROWS:]


def _grouped(days: Sequence[Summed], length: int) -> list[Period]:
    made: list[Period] = []
    files = size = 0
    for name, group in groupby(days, lambda day: str(day.term)[:length]):
        came = list(group)
        new_files, new_size = sum(day.n for day in came), sum(day.sums[0] for day in came)
        files, size = files + new_files, size + new_size
        made.append(Period(name=name, files=new_files, size=new_size, all_files=files, all_size=size))
    return made
