"""Bundles like real ones of the HCA, as many as wanted: projects, donors, organs and methods vary, by a seed.

The real bundles are in a folder beside the project, which not everybody has.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from shared.explore.bundle_metadata import BundleMetadata
from shared.identifiers import Fqid

_FOLDERS = (Path("shared", "data", "hca-bundles"), Path("shared", "data", "azul", "bundles"))
# Of a catalogue of this many files (the size of the HCA's own in 2022): 804 projects, 2.6 files a bundle.
PROJECTS_PER_FILE = 804 / 461_287
# How often a bundle has so many files at most; real catalogues have few large bundles.
_SHAPES = ((2, 0.89), (5, 0.05), (16, 0.045), (64, 0.014), (1000, 0.001))
_SHARED = frozenset(("donor_organism", "specimen_from_organism", "cell_line", "organoid"))
_VERSION = "2026-01-12T093000.000000Z"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
# Digits of the first part of a bundle's UUIDs: letters alone, so that names are words however they are cut.
_DIGITS = "abcdef"

Template = Mapping[str, Any]


class NoBundles(Exception):
    """The folder of the real bundles is not there."""


@dataclass(frozen=True)
class Variant:
    """A bundle that is like a real one.

    All of its UUIDs begin with `token`, and so do names of files, except those of what it shares with its
    clones: the project, donors, specimens, cell lines and organoids. `clones` are the tokens of further
    bundles, which differ in nothing else.
    """

    project: int
    token: str
    metadata: BundleMetadata = field(repr=False)
    clones: Sequence[str] = field(repr=False)


@cache
def real_bundles() -> tuple[Template, ...]:
    """Return the real bundles, each with `manifest`, `metadata` and `links`. Raises NoBundles."""
    found: dict[str, Template] = {}
    for place in (folder / each for folder in Path(__file__).parents for each in _FOLDERS):
        for path in sorted(place.glob("*.json")):
            found.setdefault(path.name[:36], json.loads(path.read_text()))
    if not found:
        raise NoBundles("there is no folder ../shared/data/hca-bundles: skipped")
    return tuple(found[uuid] for uuid in sorted(found))


def variants(*, files: int, docs_per_variant: int, seed: int = 0, first: int = 0) -> Iterator[Variant]:
    """Yield variants of real bundles, in order of their projects, that have so many files with their clones.

    Equal for equal arguments. Each variant stands for some `docs_per_variant` files. `first` is the number of
    the first bundle and of the first project: none have those of other ranges.
    """
    chosen = random.Random(seed)
    shapes = _by_size()
    projects = max(3, round(files * PROJECTS_PER_FILE))
    # Few projects have most of the files.
    shares = [chosen.paretovariate(1.1) for _ in range(projects)]
    number, scale = first, files / sum(shares)
    for project, share in enumerate(shares, first):
        wanted = round(share * scale)
        while wanted > 0:
            template = chosen.choice(chosen.choices([each for each, _ in shapes], [w for _, w in shapes])[0])
            size = len(template["manifest"])
            count = min(-(-wanted // size), max(1, round(chosen.uniform(0.2, 1.8) * docs_per_variant / size)))
            tokens = [_token(number + each) for each in range(count)]
            number += count
            wanted -= count * size
            metadata = _varied(template, project, tokens[0], random.Random(f"{seed} {project} {tokens[0]}"))
            yield Variant(project, tokens[0], metadata, tokens[1:])


def _by_size() -> list[tuple[list[Template], float]]:
    found, least = [], 0
    for most, weight in _SHAPES:
        alike = [each for each in real_bundles() if least < len(each["manifest"]) <= most]
        if alike:
            found.append((alike, weight))
        least = most
    return found


def _token(number: int) -> str:
    # By a factor that is prime to 6^8, so that neighbours in number are none in the order of UUIDs.
    number = number * 1_000_003 % len(_DIGITS) ** 8
    digits = []
    for _ in range(8):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)


def _varied(template: Template, project: int, token: str, chosen: random.Random) -> BundleMetadata:
    """Return a bundle with values and UUIDs of its own; of a project, only the bundle's part differs."""
    text = _UUID.sub(lambda found: token + found[1], json.dumps(template))
    shared = str(_DIGITS.index(token[0])) + token[1:]
    for kind, _, uuid in (name.partition("/") for name in template["metadata"]):
        if kind in _SHARED:
            text = text.replace(token + uuid[8:], shared + uuid[8:])
    bundle = json.loads(text)
    project_id = str(uuid5(NAMESPACE_URL, f"project {project}"))
    own = random.Random(project)
    documents: dict[str, Any] = {"links.json": bundle["links"]}
    for name, document in bundle["metadata"].items():
        kind = name.partition("/")[0]
        content = document.get("content", document)
        if kind == "project":
            document["hca_ingest" if "hca_ingest" in document else "provenance"]["document_id"] = project_id
            _vary_project(content, project, own)
        elif kind in _VARIES:
            _VARIES[kind](content, chosen, own)
        elif kind.endswith("_file"):
            content["file_core"]["file_name"] = _name(content["file_core"]["file_name"], token)
        documents[f"{name.replace('/', '_')}.json"] = document
    files = [
        {**entry, "name": _name(entry["name"], token), "version": _VERSION, "indexed": False}
        for entry in bundle["manifest"].values()
    ]
    return BundleMetadata(Fqid(f"{token}-0000-4000-8000-000000000000", _VERSION), files, documents)


def _name(name: str, token: str) -> str:
    # A zarr store's members are known by the path behind its name.
    return f"{token}_{name}"


def _vary_project(document: dict[str, Any], number: int, own: random.Random) -> None:
    core = document["project_core"]
    for name in ("project_short_name", "project_shortname"):
        if name in core:
            core[name] = f"{core[name]} {number}"
    core["project_title"] = f"{core['project_title']} {number}"
    core["project_description"] = f"{core['project_description']} {number}"
    for person in document.get("contributors") or ():
        person["laboratory"] = f"Laboratory {own.randrange(1500)}"
        person["institution"] = f"Institution {own.randrange(600)}"
        for name in ("name", "contact_name"):
            if name in person:
                person[name] = f"Jane,,Doe {own.randrange(8000)}"
    for publication in document.get("publications") or ():
        for name in ("title", "publication_title"):
            if name in publication:
                publication[name] = f"{publication[name]} {number}"


def _term(stem: str, most: int, chosen: random.Random) -> dict[str, str]:
    """Return an ontology term: of so many, the first are the most frequent."""
    text = f"{stem} {int(most * chosen.random() ** 3)}"
    return {"text": text, "ontology_label": text}


def _vary_donor(document: dict[str, Any], chosen: random.Random, own: random.Random) -> None:
    document["genus_species"] = [_term("Species", 6, own)]
    document["sex"] = document["biological_sex"] = chosen.choice(("female", "male", "unknown"))
    document["organism_age"] = str(1 + int(90 * chosen.random()))
    document["organism_age_unit"] = {"text": own.choice(("year", "month", "week", "day"))}
    document["development_stage"] = _term("stage", 80, chosen)
    document["diseases"] = [_term("disease", 150, chosen)] if chosen.random() < 0.5 else []


def _vary_specimen(document: dict[str, Any], chosen: random.Random, own: random.Random) -> None:
    document["organ"] = _term("organ", 60, own)
    document.pop("organ_part", None)
    document["organ_parts"] = [_term("part", 300, chosen)]
    document["diseases"] = [_term("disease", 150, chosen)] if chosen.random() < 0.5 else []


def _vary_suspension(document: dict[str, Any], chosen: random.Random, own: random.Random) -> None:
    document.pop("selected_cell_type", None)
    document["selected_cell_types"] = [_term("cell type", 200, chosen)] if own.random() < 0.6 else []
    document["estimated_cell_count"] = 1 + int(10_000 * chosen.random())


def _vary_sequencing(document: dict[str, Any], _: random.Random, own: random.Random) -> None:
    document["instrument_manufacturer_model"] = _term("Instrument", 25, own)


def _vary_library(document: dict[str, Any], _: random.Random, own: random.Random) -> None:
    document.pop("library_construction_method", None)
    document["library_construction_approach"] = _term("method", 40, own)


_VARIES = {
    "donor_organism": _vary_donor,
    "specimen_from_organism": _vary_specimen,
    "cell_suspension": _vary_suspension,
    "sequencing_protocol": _vary_sequencing,
    "library_preparation_protocol": _vary_library,
}
