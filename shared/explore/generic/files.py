"""The inner entities of a bundle's files."""

import re
from collections.abc import Iterator, Mapping, Sequence

from shared.explore.bundle_metadata import Json
from shared.explore.drs_uris import DrsUri
from shared.explore.generic.values import clean

_FORMAT = re.compile(r"\.([a-z0-9]{1,16}(?:\.(?:gz|bz2|xz|zst|lz4|zip))?)$")
_NO_WORD = re.compile(r"[\W_]+")


def file_format(name: str) -> str | None:
    """Return the format that the name of a file ends with, as `csv` or `fastq.gz`; None if it has none."""
    found = _FORMAT.search(name.lower())
    return found[1] if found else None


def inner_files(entries: Sequence[Mapping[str, Json]], drs_uri: DrsUri) -> Iterator[dict[str, Json]]:
    """Yield each file version of a bundle once, with all the names that it has there."""
    names: dict[tuple[str, str], list[str]] = {}
    by_version: dict[tuple[str, str], Mapping[str, Json]] = {}
    for entry in entries:
        key = entry["uuid"], entry["version"]
        names.setdefault(key, []).append(clean(str(entry["name"])))
        by_version.setdefault(key, entry)
    for key, entry in by_version.items():
        yield {
            "document_id": ".".join(key),
            "uuid": key[0],
            "version": key[1],
            "names": names[key],
            "format": file_format(names[key][0]),
            "content_type": entry["content-type"],
            "size": entry["size"],
            "sha256": entry["sha256"],
            "drs_uri": drs_uri(*key),
        }


def words_of(name: str) -> str:
    """Return a name, and the words in it: `mouse` is in `reads/mouse_1.csv`, which is a word by itself."""
    return f"{name} {_NO_WORD.sub(' ', name)}"
