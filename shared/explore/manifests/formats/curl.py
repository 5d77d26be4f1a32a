"""`curl`: a configuration of curl that downloads all files, a folder for each bundle."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.selection import SelectedFile, Selection, name_of, url_of

_FILES = 500
_OPTIONS = (
    "--create-dirs",
    "--compressed",
    "--location",
    "--globoff",
    "--fail",
    '--write-out "Downloading to: %{filename_effective}\\n\\n"',
)
# What names of files on Windows can't hold, and what no file system should.
_REPLACED = re.compile(r'[<>:"|?*]')
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class Curl:
    """Makes the configuration; its state is the id of the last file's entity."""

    name = "curl"
    extension = "curlrc"
    content_type = "text/plain"
    has_file_name = True
    made_in_requests = True

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the options, and a URL and a path for each file, in order of the entities' ids."""
        if saved is None:
            yield "".join(f"{option}\n\n" for option in _OPTIONS).encode()
        text: list[str] = []
        with closing(selection.files(saved.state if saved else "")) as files:
            for number, each in enumerate(files, 1):
                text += _downloads(selection, each)
                if number % _FILES == 0:
                    yield "".join(text).encode()
                    text.clear()
                    yield Checkpoint(each.entity_id)
        yield "".join(text).encode()


def _downloads(selection: Selection, selected: SelectedFile) -> Iterator[str]:
    # The newest bundle's, as the predecessor has it.
    folder = max(selected.document["bundles"], key=lambda each: (each["version"], each["uuid"]))["uuid"]
    for file, is_related in selected.files:
        if url := url_of(selection, file, is_related=is_related):
            path = f"{folder}/{_path(file)}"
            yield f"url={_quoted(url)}\noutput={_quoted(path)}\n\n"


def _path(file: Mapping[str, Json]) -> str:
    """Return the path of a file below its bundle's folder: its name, if all file systems take that.

    A file with another name is saved under its UUID, rather than keep the others from being downloaded.
    """
    path = _REPLACED.sub("_", name_of(file))
    steps = path.split("/")
    if not _REFUSED.search(path) and all(map(_is_safe, steps)):
        return path
    uuid: Any = file["uuid"]
    return str(uuid)


def _is_safe(step: str) -> bool:
    return (
        bool(step)
        and step[0] != " "
        and step[-1] not in " ."
        and step not in (".", "..")
        and len(step.encode()) <= 255
        and not _DEVICES.fullmatch(step)
    )


def _quoted(text: str) -> str:
    # There are neither quotes nor backslashes in paths and URLs.
    return f'"{text}"'
