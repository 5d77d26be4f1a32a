"""Which entities a bundle says something of, and which others are in what it says of each."""

from typing import Any

import pytest

from shared.explore.bundle_metadata import Contents
from tests.support.hca_sample import SUBMITTED, HcaBundle, id_of, ids_in, said_by, sequenced


def test_there_is_an_entity_for_each_file_sample_suspension_and_for_project_and_bundle() -> None:
    bundle = sequenced()

    assert set(said_by(bundle)) == {
        ("files", id_of("bundle_1.fastq")),
        ("files", id_of("bundle_2.fastq")),
        ("samples", id_of("specimen")),
        ("cell_suspensions", id_of("suspension of bundle")),
        ("projects", bundle.project),
        ("bundles", bundle.fqid.uuid),
    }


def test_a_bundle_of_metadata_alone_still_has_its_project() -> None:
    bundle = HcaBundle()

    assert set(said_by(bundle)) == {("projects", bundle.project), ("bundles", bundle.fqid.uuid)}


def test_a_file_has_all_its_ancestors_its_descendants_and_their_protocols() -> None:
    bundle = sequenced()
    analysis = bundle.add("analysis_protocol", protocol_core={"protocol_id": "w1"})
    made = bundle.file("made.bam", "analysis_file")
    bundle.link([id_of("bundle_1.fastq")], [made], [analysis])

    said = said_by(bundle)

    first, second = said["files", id_of("bundle_1.fastq")], said["files", id_of("bundle_2.fastq")]
    for contents in (first, second):
        assert ids_in(contents, "donors") == [id_of("donor of specimen")]
        assert ids_in(contents, "specimens") == [id_of("specimen")]
        assert ids_in(contents, "cell_suspensions") == [id_of("suspension of bundle")]
        assert ids_in(contents, "sequencing_protocols") == [id_of("sequencing")]
        assert ids_in(contents, "library_preparation_protocols") == [id_of("library")]
        assert ids_in(contents, "projects") == [bundle.project]
    # Its descendants' process and protocol are met as well; its sibling's are not.
    assert ids_in(first, "analysis_protocols") == [analysis]
    assert ids_in(second, "analysis_protocols") == []
    assert ids_in(first, "files") == [id_of("bundle_1.fastq")]


def test_a_sample_has_all_files_made_of_it_and_a_project_all_files() -> None:
    bundle = sequenced()
    other = bundle.file("alone.pdf", "supplementary_file")
    reads = sorted(id_of(f"bundle_{number}.fastq") for number in (1, 2))

    said = said_by(bundle)

    assert ids_in(said["samples", id_of("specimen")], "files") == reads
    assert ids_in(said["cell_suspensions", id_of("suspension of bundle")], "files") == reads
    assert ids_in(said["projects", bundle.project], "files") == sorted([*reads, other])
    assert ids_in(said["bundles", bundle.fqid.uuid], "files") == sorted([*reads, other])


def test_the_sample_of_a_file_is_the_first_on_each_way_up() -> None:
    bundle = HcaBundle()
    specimen = bundle.add("specimen_from_organism", "tissue", organ={"text": "fin"})
    line = bundle.add("cell_line", "line", type="primary", model_organ={"text": "eye"})
    organoid = bundle.add(
        "organoid", "organoid", model_organ={"text": "gut"}, model_organ_part={"text": "wall"}
    )
    deep, pooled = bundle.file("deep.fastq"), bundle.file("pooled.fastq")
    bundle.link([specimen], [line])
    bundle.link([line], [organoid])
    bundle.link([organoid], [deep])
    bundle.link([specimen, line], [pooled])

    said = said_by(bundle)

    assert ids_in(said["files", deep], "samples") == [organoid]
    # Both on the way up, though one came of the other.
    assert ids_in(said["files", pooled], "samples") == sorted([specimen, line])
    [sample] = said["files", deep]["samples"]
    assert (sample["entity_type"], sample["effective_organ"], sample["model_organ_part"]) == (
        "organoids",
        "gut",
        "wall",
    )
    assert sample["organ"] is None
    assert [
        each["organ"] for each in said["files", pooled]["samples"] if each["entity_type"] == "specimens"
    ] == ["fin"]


def test_a_pool_of_specimens_has_the_organs_of_all() -> None:
    bundle = HcaBundle()
    tissues = [
        bundle.add(
            "specimen_from_organism", f"of {organ}", organ={"text": organ}, organ_parts=[{"text": part}]
        )
        for organ, part in (("fin", "ray"), ("eye", "lens"))
    ]
    cells = bundle.add("cell_suspension", estimated_cell_count=9)
    bundle.link(tissues, [cells])
    bundle.link([cells], [bundle.file("a.fastq")])

    [suspension] = said_by(bundle)["cell_suspensions", cells]["cell_suspensions"]

    assert sorted(suspension["organ"]) == ["eye", "fin"]
    assert sorted(suspension["organ_part"]) == ["lens", "ray"]


def test_sequencing_inputs_and_processes_are_known_by_their_protocol() -> None:
    bundle = sequenced()

    contents = said_by(bundle)["files", id_of("bundle_1.fastq")]

    [source] = contents["sequencing_inputs"]
    assert (source["document_id"], source["sequencing_input_type"]) == (
        id_of("suspension of bundle"),
        "cell_suspension",
    )
    assert len(contents["sequencing_processes"]) == 1


def links_of(form: str) -> dict[str, Any]:
    donor, specimen, protocol = id_of("donor"), id_of("specimen"), id_of("collection")
    process = id_of("process")
    edges = {
        "oldest": [
            {"source_id": donor, "destination_id": process},
            {"source_id": process, "destination_id": specimen},
            {"source_id": process, "destination_id": protocol},
        ],
        "first": [
            {
                "process": process,
                "inputs": [donor],
                "input_type": "biomaterial",
                "outputs": [specimen],
                "output_type": "biomaterial",
                "protocols": [{"protocol_id": protocol, "protocol_type": "library_preparation_protocol"}],
            }
        ],
        "third": [
            {
                "link_type": "process_link",
                "process_id": process.upper(),
                "inputs": [{"input_id": donor, "input_type": "donor_organism"}],
                "outputs": [{"output_id": specimen, "output_type": "specimen_from_organism"}],
                "protocols": [{"protocol_id": protocol, "protocol_type": "library_preparation_protocol"}],
            },
            {"link_type": "supplementary_file_link", "entity": {"entity_id": id_of("x")}, "files": []},
        ],
    }
    return {"schema_version": "1.0.0", "links": edges[form] * 2}


@pytest.mark.parametrize("form", ["oldest", "first", "third"])
def test_links_are_read_in_each_form_that_there_was(form: str) -> None:
    bundle = HcaBundle()
    bundle.add("donor_organism", "donor", sex="male")
    specimen = bundle.add("specimen_from_organism", "specimen")
    bundle.add("library_preparation_protocol", "collection")
    bundle.add("process", "process")
    bundle.documents["links.json"] = links_of(form)
    bundle.link([specimen], [bundle.file("a.fastq")])

    contents = said_by(bundle)["samples", specimen]

    assert ids_in(contents, "donors") == [id_of("donor")]
    assert ids_in(contents, "library_preparation_protocols") == [id_of("collection")]


def test_old_documents_have_their_content_and_provenance_elsewhere() -> None:
    bundle = sequenced()
    document = bundle.document(id_of("specimen"))
    provenance = document.pop("provenance")
    name = "specimen_from_organism_0.json"
    bundle.documents[name] = {"content": document, "hca_ingest": provenance | {"submissionDate": SUBMITTED}}

    [sample] = said_by(bundle)["samples", id_of("specimen")]["samples"]

    assert sample["organ"] == "brain"


def test_cells_count_in_the_last_suspension_of_a_chain_alone() -> None:
    bundle = HcaBundle()
    specimen = bundle.add("specimen_from_organism", organ={"text": "fin"})
    first = bundle.add("cell_suspension", estimated_cell_count=100)
    last = bundle.add("cell_suspension", estimated_cell_count=70)
    bundle.link([specimen], [first])
    bundle.link([first], [last])
    bundle.link([last], [bundle.file("a.fastq")])

    said = said_by(bundle)

    def cells(contents: Contents) -> dict[str, tuple[int, int]]:
        return {
            each["document_id"]: (each["total_estimated_cells"], each["total_estimated_cells_redundant"])
            for each in contents["cell_suspensions"]
        }

    assert cells(said["projects", bundle.project]) == {first: (0, 100), last: (70, 0)}
    # A suspension has only itself, not what it was made of.
    assert cells(said["cell_suspensions", last]) == {last: (70, 0)}
    assert cells(said["cell_suspensions", first]) == {first: (0, 100)}
