"""Patches as `git diff` writes them, applied without git: their lines have to be in a file exactly once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLACE = Path(__file__).parent


class DoesNotApply(Exception):
    """The sources have changed where a patch changes them: write it anew."""


@dataclass(frozen=True)
class Hunk:
    """Lines of a file, with those around them, and what takes their place."""

    file: str
    before: str
    after: str


@dataclass(frozen=True)
class Mutant:
    """A bug: its name, what is wrong with it, and what it changes."""

    name: str
    about: str
    hunks: tuple[Hunk, ...]

    def apply(self, root: Path) -> None:
        """Change the sources in a directory. Raises DoesNotApply, and then may have changed some."""
        for hunk in self.hunks:
            file = root / hunk.file
            text = file.read_text()
            if text.count(hunk.before) != 1:
                raise DoesNotApply(
                    f"{self.name}: {hunk.file} has these lines {text.count(hunk.before)} times, not once:\n"
                    f"{hunk.before}"
                )
            file.write_text(text.replace(hunk.before, hunk.after))


def mutants() -> dict[str, Mutant]:
    """Return all mutants by name."""
    found = (parse(path.stem, path.read_text()) for path in sorted(PLACE.glob("*.patch")))
    return {mutant.name: mutant for mutant in found}


def parse(name: str, text: str) -> Mutant:
    """Return the mutant of a patch: what is before its first file says what is wrong."""
    about, _, rest = text.partition("--- a/")
    about = about.partition("diff --git")[0].strip()
    return Mutant(name, about, tuple(_hunks(f"--- a/{rest}")))


def _hunks(text: str) -> Iterator[Hunk]:
    for part in text.split("--- a/")[1:]:
        # The header of the next file may follow the last hunk.
        lines = part.partition("\ndiff --git")[0].splitlines(keepends=True)
        file = lines[0].strip()
        for body in "".join(lines[2:]).split("@@ -")[1:]:
            changed = [line for line in body.splitlines(keepends=True)[1:] if line[:1] in " +-"]
            yield Hunk(file, _side(changed, "-"), _side(changed, "+"))


def _side(lines: list[str], sign: str) -> str:
    return "".join(line[1:] for line in lines if line[0] in (" ", sign))
