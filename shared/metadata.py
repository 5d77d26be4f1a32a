"""The form of metadata documents: what they hold of a bundle's files, and how to read that back.

`shared.events.documents` makes and keeps them; search and subscriptions read them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.group_names import group_name
from shared.identifiers import EVENT_TYPES
from shared.manifests import CONTENT_TYPE

CREATE, TOMBSTONE = EVENT_TYPES


def contents(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Yield each file whose content a bundle's document holds: its row in the manifest, and its content."""
    left_out = {row["name"] for row in document.get("left_out", ())}
    groups = {name: iter(group) for name, group in document["files"].items()}
    for file in document["manifest"]["files"]:
        if is_json(file) and file["name"] not in left_out:
            yield file, next(groups[group_name(file["name"])])


def is_json(file: Mapping[str, Any]) -> bool:
    """Return whether a manifest says that a file is JSON."""
    # With parameters too: `application/json; dcp-type="metadata/biomaterial"`.
    media_type: str = file["content-type"].partition(";")[0]
    return media_type.strip().lower() == CONTENT_TYPE
