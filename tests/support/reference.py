"""The predecessor's bundles and answers, beside the project, and how to compare with them.

Versions and DRS URIs have another form there; lists without an order of their own are compared as sets.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.explore.bundle_metadata import BundleMetadata
from shared.identifiers import Fqid

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d):(\d\d):(\d\d\.\d{6}Z)")


def version_of(text: str) -> str:
    """Return a version as the DSS writes it."""
    return _TIME.sub(r"\1\2\3", text)


def comparable(value: Any, key: str = "") -> Any:
    """Return a value with versions in one form, without DRS URIs, and with lists in one order."""
    if isinstance(value, Mapping):
        return {name: comparable(each, name) for name, each in value.items() if name != "drs_uri"}
    if isinstance(value, list | tuple):
        return sorted(
            (comparable(each, key) for each in value), key=lambda each: json.dumps(each, sort_keys=True)
        )
    return version_of(value) if key in ("version", "bundleVersion") and value else value


def bundle_in(path: Path) -> BundleMetadata:
    """Return a bundle of a file in which the documents are keyed by entity."""
    content = json.loads(path.read_text())
    uuid, _, version = path.name.removesuffix(".json").partition(".")
    files = [{**entry, "version": version_of(entry["version"])} for entry in content["manifest"].values()]
    documents = {f"{entity.replace('/', '_')}.json": each for entity, each in content["metadata"].items()}
    return BundleMetadata(Fqid(uuid, version), files, {**documents, "links.json": content["links"]})


def reference_bundles(expected: Path) -> list[BundleMetadata]:
    """Return all nine bundle versions, the older of two versions first, of the folder of answers."""
    found = []
    for path in sorted(expected.glob("*.contributions.json")):
        uuid, version = path.name.removesuffix(".contributions.json").split(".", 1)
        [named] = {
            each
            for each in (expected.parent / "bundles").glob(f"{uuid}*.json")
            if each.name in (f"{uuid}.json", f"{uuid}.{version}.json")
        }
        bundle = bundle_in(named)
        found.append(BundleMetadata(Fqid(uuid, version), bundle.files, bundle.documents))
    assert len(found) == 9
    return found


def read(expected: Path, name: str) -> Any:
    """Return one of the predecessor's answers."""
    return json.loads((expected / name).read_text())
