"""What a copy of bundles did."""

from dataclasses import dataclass
from typing import Any

from dss.reports import Report


@dataclass(kw_only=True)
class CopyReport(Report):
    """So many `bundles` were to be copied: how many were, or were `already_there`.

    `files` and `bytes` are those of the bundles that could be read, each file once in a bundle. After a dry
    run `copied` is what would be.
    """

    destination: str = ""
    bundles: int = 0
    copied: int = 0
    already_there: int = 0
    dry_run: bool = False

    @property
    def extent(self) -> str:
        """What there was to do, as `2 bundles and 3 files`."""
        return f"{self.bundles} bundles and {self.files} files"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        shown = {name: value for name, value in super().as_json().items() if name not in ("uuid", "version")}
        own = {"bundles": self.bundles, "copied": self.copied, "already_there": self.already_there}
        return {"destination": self.destination, **own, **shown, "dry_run": self.dry_run}
