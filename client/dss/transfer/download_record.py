"""Which bundle was downloaded to a directory: a note in the user's cache, for a comparison later on.

It is not in the directory, which holds what the bundle holds and nothing else.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dss import environment
from dss.atomic_files import replacing
from dss.reports import DownloadReport


@dataclass(frozen=True, kw_only=True)
class DownloadRecord:
    """A bundle version of a DSS in a directory; `names` are the globs of what was fetched, none for all."""

    directory: str
    url: str
    uuid: str
    version: str
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, report: DownloadReport, url: str, names: Sequence[str]) -> "DownloadRecord":
        """Return the record of a download."""
        return cls(
            directory=str(Path(report.directory).resolve()),
            url=url,
            uuid=report.uuid,
            version=report.version,
            names=tuple(names),
        )

    @classmethod
    def find(cls, directory: Path, url: str) -> "DownloadRecord | None":
        """Return what was last downloaded from a DSS to a directory, None if that is not known."""
        try:
            values = json.loads(_path_of(directory.resolve(), url).read_text("utf-8"))
            return cls(**{**values, "names": tuple(values["names"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def keep(self) -> None:
        """Write it down, with the names that earlier downloads of the same version fetched.

        A cache that can't be written is no reason to stop a download.
        """
        before = self.find(Path(self.directory), self.url)
        names = self.names
        if before and (before.uuid, before.version) == (self.uuid, self.version):
            names = tuple(sorted({*before.names, *names})) if before.names and names else ()
        path = _path_of(Path(self.directory), self.url)
        values = dataclasses.asdict(dataclasses.replace(self, names=names))
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as stream:
                stream.write(json.dumps(values).encode())


def _path_of(directory: Path, url: str) -> Path:
    label = hashlib.sha256(f"{directory}\n{url}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return environment.cache_directory() / "downloads" / f"{label}.json"
