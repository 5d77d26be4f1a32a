"""The forms of an export, and where its files are in each."""

from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from dss.errors import InvalidInput, MissingExtra
from dss.export.bag import MANIFEST, PAYLOAD, bag_files
from dss.export.contents import Contents, TagFiles
from dss.export.crate import METADATA, crate_files

FormName = Literal["bag", "ro-crate", "plain"]
# Each is in the extra that has the name of the form.
_PACKAGES = {"bag": "bdbag", "ro-crate": "rocrate"}


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form; `holey` bags name their files, and have none; `license_text` is for a crate."""

    name: FormName
    holey: bool = False
    license_text: str | None = None

    def __post_init__(self) -> None:
        """Check what goes together. Raises InvalidInput."""
        if self.holey and self.name != "bag":
            raise InvalidInput(f"--holey: only a bag can lack its files; {self.name} has them")
        if self.license_text and self.name != "ro-crate":
            raise InvalidInput(f"--license: {self.name} has no place for it; ro-crate has")

    def require(self) -> None:
        """Raise MissingExtra if the package that makes this form is not installed."""
        package = _PACKAGES.get(self.name)
        if package:
            try:
                import_module(package)
            except ImportError as error:
                raise MissingExtra(f"--as {self.name}", self.name) from error

    @property
    def payload(self) -> str:
        """Where the files of the bundle are in an export: a directory with a slash, or nothing."""
        return PAYLOAD if self.name == "bag" else ""

    @property
    def telling(self) -> str | None:
        """The file that tells which bundle an export is of; a plain one has none."""
        return {"bag": MANIFEST, "ro-crate": METADATA, "plain": None}[self.name]

    def tag_files(self, contents: Contents) -> TagFiles:
        """Return what is beside the files, in the order in which it is written; see `bag` and `crate`."""
        if self.name == "bag":
            return bag_files(contents, holey=self.holey)
        if self.name == "ro-crate":
            return crate_files(contents, license_text=self.license_text)
        return []
