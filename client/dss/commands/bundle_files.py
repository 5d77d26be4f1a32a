"""Which files of a bundle a text names: `ls`, `cat` and `cp` agree on it."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dss.errors import InvalidInput, NoSuchName
from dss.listing import BundleFile, BundleFiles
from dss.references import resolve

if TYPE_CHECKING:
    from dss.client import Client


def files_named(client: "Client", text: str, version: str | None) -> tuple[BundleFiles, list[BundleFile]]:
    """Return the files of the bundle that a text names, and those that it names: all if it names no file.

    A name is that of a file, or of a directory, or a pattern. Raises NoSuchName, which suggests others, if
    there is no such file.
    """
    found = resolve(text, version, url=client.url, named=True)
    listed = client.files(found.fqid)
    return listed, _matching(listed, found.name) if found.name else list(listed)


def some_files_named(client: "Client", text: str, version: str | None) -> list[BundleFile]:
    """Return the files that a text names, which must not be a whole bundle."""
    if not resolve(text, version, url=client.url, named=True).name:
        raise InvalidInput(f"{text} names a whole bundle; give a NAME of it, or fetch it with dss download")
    return files_named(client, text, version)[1]


def _matching(files: BundleFiles, name: str) -> list[BundleFile]:
    below = name.rstrip("/") + "/"
    exact = [file for file in files if file.name == name or file.name.startswith(below)]
    found = exact or [file for file in files if fnmatchcase(file.name, name)]
    if not found:
        raise NoSuchName.of(files.fqid, name, [file.name for file in files])
    return found
