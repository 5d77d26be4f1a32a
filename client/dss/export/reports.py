"""What an export did."""

from dataclasses import dataclass, field
from typing import Any

from dss.reports import Report


@dataclass(kw_only=True)
class ExportReport(Report):
    """So many `bundles` were to be exported: how many were, or were `already_there`.

    `locations` has where each of them is, in the order in which they were given. `files` and `bytes` are
    those of the bundles that could be read. After a dry run `exported` is what would be.
    """

    form: str = ""
    bundles: int = 0
    exported: int = 0
    already_there: int = 0
    locations: list[str] = field(default_factory=list)
    dry_run: bool = False

    @property
    def extent(self) -> str:
        """What there was to do, as `2 bundles and 3 files`."""
        return f"{self.bundles} bundles and {self.files} files"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        shown = {name: value for name, value in super().as_json().items() if name not in ("uuid", "version")}
        own = {"bundles": self.bundles, "exported": self.exported, "already_there": self.already_there}
        return {"as": self.form, "locations": self.locations, **own, **shown, "dry_run": self.dry_run}
