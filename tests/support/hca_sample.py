"""Bundles with invented metadata in the HCA's form, made as small as a test needs them.

def test_something() -> None:
    bundle = HcaBundle()
    donor = bundle.add("donor_organism", sex="female")
    cells = bundle.add("cell_suspension", estimated_cell_count=7)
    bundle.link([donor], [cells])
"""

import copy
from typing import Any
from uuid import UUID, uuid5

from shared.explore.bundle_metadata import BundleMetadata, Contents
from shared.explore.hca.plugin import HcaPlugin
from shared.identifiers import Fqid

_NAMES = UUID("0d2a5f3e-5b0e-5d0e-9c5e-6a1f0c7b3e11")
VERSION = "2024-03-01T120000.000000Z"
SUBMITTED, UPDATED = "2024-01-01T10:00:00.000Z", "2024-02-01T10:00:00.000Z"
_KINDS = {"file": "file", "project": "project", "process": "process", "protocol": "protocol"}


def id_of(name: str) -> str:
    """Return the UUID of something with a name: the same in all bundles."""
    return str(uuid5(_NAMES, name))


class HcaBundle:
    """A bundle that is being made. `add` and `file` return the id of an entity, for `link`."""

    def __init__(self, name: str = "bundle", version: str = VERSION, project: str = "project") -> None:
        self.fqid = Fqid(id_of(name), version)
        self.files: list[dict[str, Any]] = []
        self.documents: dict[str, Any] = {"links.json": {"schema_version": "3.0.0", "links": []}}
        self.project = self.add(
            "project",
            project,
            project_core={
                "project_short_name": project,
                "project_title": f"Title of {project}",
                "project_description": "Invented.",
            },
        )

    def add(self, entity_type: str, name: str = "", /, **content: Any) -> str:
        """Add a metadata document, named in the bundle by its type and a number."""
        number = sum(known.startswith(f"{entity_type}_") for known in self.documents)
        name = name or f"{entity_type} {number} of {self.fqid.uuid}"
        kind = next((kind for ending, kind in _KINDS.items() if entity_type.endswith(ending)), "biomaterial")
        content.setdefault("describedBy", f"https://schema.example/type/{kind}/1.0.0/{entity_type}")
        if kind == "biomaterial":
            content.setdefault("biomaterial_core", {"biomaterial_id": name})
        provenance = {"document_id": id_of(name), "submission_date": SUBMITTED, "update_date": UPDATED}
        self.documents[f"{entity_type}_{number}.json"] = {**content, "provenance": provenance}
        return id_of(name)

    def file(
        self, name: str, entity_type: str = "sequence_file", /, *, size: int = 10, **content: Any
    ) -> str:
        """Add a data file and the document that describes it. `core` are further fields of `file_core`."""
        form = name.rpartition(".")[2]
        core = {"file_name": name, "format": form, **content.pop("core", {})}
        self.files.append(
            {
                "name": name,
                "uuid": id_of(f"data {name}"),
                "version": VERSION,
                "size": size,
                "content-type": "application/octet-stream",
                "indexed": False,
                "sha256": "0" * 64,
                "crc32c": "0" * 8,
            }
        )
        return self.add(entity_type, name, file_core=core, **content)

    def link(
        self,
        inputs: list[str],
        outputs: list[str],
        protocols: list[str] | None = None,
        process: str = "process",
    ) -> str:
        """Add a process of a type that makes outputs of inputs, and return its id."""
        made = self.add(process)
        self.documents["links.json"]["links"].append(
            {
                "link_type": "process_link",
                "process_id": made,
                "process_type": process,
                "inputs": [{"input_type": "biomaterial", "input_id": each} for each in inputs],
                "outputs": [{"output_type": "biomaterial", "output_id": each} for each in outputs],
                "protocols": [{"protocol_type": "protocol", "protocol_id": each} for each in protocols or ()],
            }
        )
        return made

    def document(self, entity_id: str) -> dict[str, Any]:
        """Return the document of an entity, to be changed."""
        return next(
            each
            for name, each in self.documents.items()
            if name != "links.json" and each["provenance"]["document_id"] == entity_id
        )

    def metadata(self) -> BundleMetadata:
        """Return what a plug-in gets of the bundle; what is added afterwards is not in it."""
        entries = [
            {"name": name, "indexed": True, "content-type": 'application/json; dcp-type="metadata"'}
            for name in self.documents
        ]
        return BundleMetadata(self.fqid, [*self.files, *entries], copy.deepcopy(self.documents))


PLUGIN = HcaPlugin(host="dss.example")


def said_by(bundle: HcaBundle) -> dict[tuple[str, str], Contents]:
    """Return what a bundle says of each entity."""
    metadata = bundle.metadata()
    assert PLUGIN.accepts(metadata)
    return {(each.entity_type, each.entity_id): each.contents for each in PLUGIN.contributions(metadata)}


def ids_in(contents: Contents, listed: str) -> list[Any]:
    """Return the ids of the inner entities in a list, sorted."""
    return sorted(each["document_id"] for each in contents[listed])


def sequenced(
    name: str = "bundle",
    version: str = VERSION,
    *,
    project: str = "project",
    specimen: str = "specimen",
    suspension: str = "",
    organ: str = "brain",
    cells: int = 100,
) -> HcaBundle:
    """Return a bundle of a donor, a specimen, a cell suspension and two sequence files.

    The donor, the specimen and the protocols are the same in all bundles with the same names; a suspension
    without a name is the bundle's own.
    """
    bundle = HcaBundle(name, version, project)
    donor = bundle.add(
        "donor_organism",
        f"donor of {specimen}",
        sex="female",
        genus_species=[{"text": "Danio rerio"}],
        development_stage={"text": "adult"},
        organism_age="2",
        organism_age_unit={"text": "year"},
    )
    tissue = bundle.add("specimen_from_organism", specimen, organ={"text": organ})
    made = bundle.add("cell_suspension", suspension or f"suspension of {name}", estimated_cell_count=cells)
    reads = [bundle.file(f"{name}_{number}.fastq", size=number * 10) for number in (1, 2)]
    sequencing = bundle.add(
        "sequencing_protocol",
        "sequencing",
        paired_end=True,
        instrument_manufacturer_model={"text": "Reader 1"},
    )
    library = bundle.add(
        "library_preparation_protocol", "library", library_construction_method={"text": "Drops"}
    )
    bundle.link([donor], [tissue])
    bundle.link([tissue], [made])
    bundle.link([made], reads, [sequencing, library])
    return bundle
