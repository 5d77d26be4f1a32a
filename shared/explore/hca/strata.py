"""What a matrix is about: species, stage, organ and library, from its description or from the graph."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

from shared.explore.bundle_metadata import Contents, Json, UnusableMetadata
from shared.explore.hca.documents import Entity

DIMENSIONS = ("genusSpecies", "developmentStage", "organ", "libraryConstructionApproach")

# A label of the graph may hold what separates values, as "skin, left side" does.
_ESCAPES = str.maketrans({each: quote(each) for each in "%,;=\n"})

Stratum = Mapping[str, list[str]]


def _described(file: Entity) -> Iterator[Stratum]:
    """Yield the strata that a file's description lists, one on each line: `genusSpecies=a,b;organ=c`."""
    for line in (file.content.text("file_description") or "").splitlines():
        stratum: dict[str, list[str]] = {}
        for part in line.split(";"):
            dimension, equals, values = part.partition("=")
            if not equals or dimension not in DIMENSIONS:
                names = ", ".join(DIMENSIONS)
                raise UnusableMetadata(
                    file.content.file,
                    "file_description",
                    f"{part[:100]!r} is not NAME=VALUES with a NAME of {names}",
                )
            stratum[dimension] = values.split(",")
        yield stratum


def pseudo_entities(file: Entity) -> Contents:
    """Return donors, specimens and library protocols that a matrix's description implies.

    They have no documents, but the matrix is found by their species, organ, stage and library.
    """
    donors: list[dict[str, Json]] = []
    specimens: list[dict[str, Json]] = []
    libraries: list[dict[str, Json]] = []
    for stratum in _described(file):
        donor: dict[str, Json] = {"biomaterial_id": f"donor_organism_{file.file_name}"}
        if "genusSpecies" in stratum:
            donor["genus_species"] = stratum["genusSpecies"]
        if "developmentStage" in stratum:
            donor["development_stage"] = stratum["developmentStage"]
        if len(donor) > 1:
            donors.append(donor)
        for number, organ in enumerate(stratum.get("organ", ())):
            name = f"specimen_from_organism_{number}_{file.file_name}"
            specimens.append({"biomaterial_id": name, "organ": organ})
        if "libraryConstructionApproach" in stratum:
            libraries.append({"library_construction_approach": stratum["libraryConstructionApproach"]})
    return {"donors": donors, "specimens": specimens, "library_preparation_protocols": libraries}


def strata(file: Entity, contents: Contents) -> str:
    """Return a matrix's strata as text, a line each: as it is described, or else as the graph has it."""
    described = list(_described(file)) if file.type == "supplementary_file" else []
    return "\n".join(map(_text, described or [_from_graph(contents)]))


def _from_graph(contents: Contents) -> Stratum:
    donors = contents["donors"]
    libraries = contents["library_preparation_protocols"]
    organs = [
        *(each["organ"] for each in contents["specimens"]),
        *(each["model_organ"] for name in ("cell_lines", "organoids") for each in contents[name]),
    ]
    values: dict[str, Iterable[Json]] = {
        "genusSpecies": [species for donor in donors for species in donor["genus_species"]],
        "developmentStage": [donor["development_stage"] for donor in donors],
        "organ": organs,
        "libraryConstructionApproach": [each["library_construction_approach"] for each in libraries],
    }
    present = {
        dimension: sorted({str(value) for value in values[dimension] if value}) for dimension in DIMENSIONS
    }
    return {dimension: found for dimension, found in present.items() if found}


def _text(stratum: Stratum) -> str:
    return ";".join(
        f"{name}={','.join(value.translate(_ESCAPES) for value in stratum[name])}"
        for name in DIMENSIONS
        if name in stratum
    )


def parse_stratum(line: str) -> dict[str, list[str]]:
    """Return the values of each dimension that a line of `strata` has."""
    parts = (part.partition("=") for part in line.split(";") if part)
    return {name: [unquote(value) for value in values.split(",")] for name, _, values in parts}
