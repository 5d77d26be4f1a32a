"""What an export of a bundle version consists of: its files, each at a path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dss.api.session import Session
from dss.errors import InvalidInput
from dss.identifiers import moment_of
from dss.listing import BundleFile, BundleFiles
from dss.references import drs_host, drs_uri
from dss.transfer.names import is_safe
from dss.transfer.placement import place

# Names that an error lists.
_LISTED = 3


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A bundle version to export; `paths` has where each file is, by its name in the bundle."""

    files: BundleFiles
    paths: Mapping[str, str]
    url: str
    replica: str

    @classmethod
    def of(cls, bundle: Mapping[str, Any], session: Session, *, longest: int) -> "Contents":
        """Return the contents of a bundle as GET /bundles has it, for a directory.

        `longest` is the limit of a step of a path there, in bytes. Raises InvalidInput if a name leads out of
        the directory.
        """
        files = BundleFiles.of(bundle, session.url)
        paths = place([file.name for file in files], longest=longest)
        unsafe = [name for name, path in paths.items() if not is_safe(path)]
        if unsafe:
            listed = ", ".join(repr(name[:80]) for name in unsafe[:_LISTED])
            raise InvalidInput(f"{files.fqid}: no directory can hold {listed} ({len(unsafe)} such names)")
        return cls(files=files, paths=paths, url=session.url, replica=session.replica)

    @property
    def fqid(self) -> str:
        """UUID.VERSION of the bundle."""
        return self.files.fqid

    @property
    def drs_uri(self) -> str:
        """The `drs://` URI of the bundle version."""
        return drs_uri(drs_host(self.url), self.files.uuid, self.files.version)

    @property
    def placed(self) -> dict[str, str]:
        """The paths of files whose own name a directory can't hold, by name."""
        return {name: path for name, path in self.paths.items() if name != path}

    def check_keys(self) -> None:
        """Raise InvalidInput if a file in a bucket would have another key than that of its name."""
        if self.placed:
            listed = ", ".join(repr(name[:80]) for name in list(self.placed)[:_LISTED])
            raise InvalidInput(
                f"{self.fqid}: no directory can hold {listed} ({len(self.placed)} such names); "
                "export it to a directory, where they get other names, or --as plain"
            )

    def check_free(self, path: str, form: str) -> None:
        """Raise InvalidInput if a file is where an export of this form has a file of its own."""
        taken = [name for name, other in self.paths.items() if other.lower() == path.lower()]
        if taken:
            raise InvalidInput(
                f"{self.fqid} has a file {taken[0]!r}, where --as {form} has its own; export it --as bag"
            )

    def https_url(self, file: BundleFile) -> str:
        """Return the URL at which the DSS serves a file version, by a redirect."""
        return f"{self.url}/files/{file.uuid}?replica={quote(self.replica)}&version={quote(file.version)}"

    @property
    def date(self) -> str:
        """When the bundle version was made, as ISO 8601 in UTC."""
        return moment_of(self.files.version).isoformat()


TagFiles = Sequence[tuple[str, bytes]]
