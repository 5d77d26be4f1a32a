"""What one HCA bundle says of its files, samples, cell suspensions, project and of itself."""

from typing import Any
from uuid import UUID, uuid5

import pytest

from shared.explore.bundle_metadata import Contents
from shared.explore.hca.plugin import HcaPlugin
from tests.support.hca_sample import SUBMITTED, UPDATED, VERSION, HcaBundle, id_of, sequenced

PLUGIN = HcaPlugin(host="dss.example")
SUBMITTED_IN_UTC, UPDATED_IN_UTC = (text.replace(".000Z", ".000000Z") for text in (SUBMITTED, UPDATED))


def said_by(bundle: HcaBundle) -> dict[tuple[str, str], Contents]:
    """Return what a bundle says of each entity."""
    metadata = bundle.metadata()
    assert PLUGIN.accepts(metadata)
    return {(each.entity_type, each.entity_id): each.contents for each in PLUGIN.contributions(metadata)}


def ids(contents: Contents, listed: str) -> list[Any]:
    return sorted(each["document_id"] for each in contents[listed])


def of_file(bundle: HcaBundle, file: str) -> dict[str, Any]:
    [inner] = said_by(bundle)["files", file]["files"]
    return inner


# --- which entities, and what is in them


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
        assert ids(contents, "donors") == [id_of("donor of specimen")]
        assert ids(contents, "specimens") == [id_of("specimen")]
        assert ids(contents, "cell_suspensions") == [id_of("suspension of bundle")]
        assert ids(contents, "sequencing_protocols") == [id_of("sequencing")]
        assert ids(contents, "library_preparation_protocols") == [id_of("library")]
        assert ids(contents, "projects") == [bundle.project]
    # Its descendants' process and protocol are met as well; its sibling's are not.
    assert ids(first, "analysis_protocols") == [analysis]
    assert ids(second, "analysis_protocols") == []
    assert ids(first, "files") == [id_of("bundle_1.fastq")]


def test_a_sample_has_all_files_made_of_it_and_a_project_all_files() -> None:
    bundle = sequenced()
    other = bundle.file("alone.pdf", "supplementary_file")
    reads = sorted(id_of(f"bundle_{number}.fastq") for number in (1, 2))

    said = said_by(bundle)

    assert ids(said["samples", id_of("specimen")], "files") == reads
    assert ids(said["cell_suspensions", id_of("suspension of bundle")], "files") == reads
    assert ids(said["projects", bundle.project], "files") == sorted([*reads, other])
    assert ids(said["bundles", bundle.fqid.uuid], "files") == sorted([*reads, other])


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

    assert ids(said["files", deep], "samples") == [organoid]
    # Both on the way up, though one came of the other.
    assert ids(said["files", pooled], "samples") == sorted([specimen, line])
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

    assert ids(contents, "donors") == [id_of("donor")]
    assert ids(contents, "library_preparation_protocols") == [id_of("collection")]


def test_old_documents_have_their_content_and_provenance_elsewhere() -> None:
    bundle = sequenced()
    document = bundle.document(id_of("specimen"))
    provenance = document.pop("provenance")
    name = "specimen_from_organism_0.json"
    bundle.documents[name] = {"content": document, "hca_ingest": provenance | {"submissionDate": SUBMITTED}}

    [sample] = said_by(bundle)["samples", id_of("specimen")]["samples"]

    assert sample["organ"] == "brain"


# --- fields


@pytest.mark.parametrize(
    ("organ", "shown"),
    [
        ({"text": "t", "ontology": "o", "ontology_label": "l"}, "l"),
        ({"text": "t", "ontology": "o"}, "t"),
        ({"ontology": "o"}, "o"),
        ({"ontology_label": None, "text": "t"}, "t"),
        ({}, None),
        (None, None),
        ("plain", "plain"),
    ],
)
def test_the_label_of_a_term_is_the_first_that_it_has(organ: Any, shown: str | None) -> None:
    bundle = sequenced()
    bundle.document(id_of("specimen"))["organ"] = organ

    [sample] = said_by(bundle)["samples", id_of("specimen")]["samples"]

    assert (sample["organ"], sample["effective_organ"]) == (shown, shown)


def test_fields_that_were_renamed_are_read_by_either_name() -> None:
    old, new = sequenced("old", specimen="old"), sequenced("new", specimen="new")
    old.document(id_of("donor of old")).update(biological_sex="female", disease=[{"text": "ill"}], sex=None)
    new.document(id_of("donor of new")).update(diseases=[{"text": "ill"}, {"text": "ill"}, {"text": ""}])
    old.document(id_of("sequencing")).update(paired_end=None, paired_ends=True)
    old.document(id_of("library")).update(
        library_construction_method=None, library_construction_approach="Drops"
    )
    old.document(id_of("suspension of old")).update(estimated_cell_count=None, total_estimated_cells=100)

    def shown(bundle: HcaBundle, specimen: str) -> list[Any]:
        contents = said_by(bundle)["samples", id_of(specimen)]
        lists = ("donors", "sequencing_protocols", "library_preparation_protocols", "cell_suspensions")
        return [
            {k: v for k, v in each.items() if k not in ("document_id", "biomaterial_id")}
            for name in lists
            for each in contents[name]
        ]

    assert shown(old, "old") == shown(new, "new")
    assert shown(new, "new")[0]["diseases"] == ["ill"]


YEAR = 365 * 24 * 3600.0


@pytest.mark.parametrize(
    ("age", "unit", "seconds"),
    [
        ("2", "year", [2 * YEAR, 2 * YEAR]),
        ("6-12", "weeks", [6 * 604_800.0, 12 * 604_800.0]),
        ("1.5 - 2", "months", [1.5 * YEAR / 12, 2 * YEAR / 12]),
        ("-5", "day", [0.0, 5 * 86_400.0]),
        ("80-", "hours", [80 * 3600.0, 1e308]),
        (" 3 ", "minute", [180.0, 180.0]),
        (7, "seconds", [7.0, 7.0]),
        ("2-1", "year", None),
        ("old", "year", None),
        ("1 2", "year", None),
        ("-", "year", None),
        ("2", "fortnight", None),
        ("2", None, None),
        (None, "year", None),
    ],
)
def test_an_age_has_a_range_in_seconds(age: Any, unit: str | None, seconds: list[float] | None) -> None:
    bundle = sequenced()
    bundle.document(id_of("donor of specimen")).update(
        organism_age=age, organism_age_unit=unit and {"text": unit}
    )

    [donor] = said_by(bundle)["samples", id_of("specimen")]["donors"]

    assert donor["organism_age"] == (None if age is None else {"value": str(age), "unit": unit})
    # A range that isn't there is missing; it is not null.
    assert donor.get("organism_age_range") == seconds
    assert ("organism_age_range" in donor) == (seconds is not None)


def test_accessions_are_named_after_their_property() -> None:
    bundle = HcaBundle()
    bundle.document(bundle.project).update(
        geo_series_accessions=["GSE1", "GSE2"], insdc_study_accessions=["S1"], biostudies_accessions=None
    )

    [project] = said_by(bundle)["projects", bundle.project]["projects"]

    assert project["accessions"] == [
        {"namespace": "geo_series", "accession": "GSE1"},
        {"namespace": "geo_series", "accession": "GSE2"},
        {"namespace": "insdc_study", "accession": "S1"},
    ]


def test_people_and_networks_of_a_project_are_listed_each_once() -> None:
    bundle = HcaBundle()
    bundle.document(bundle.project).update(
        contributors=[
            {"name": "Ada", "institution": "I", "laboratory": "L", "project_role": {"text": "principal"}},
            {"contact_name": "Bo", "institution": "I", "laboratory": ""},
        ],
        hca_bionetworks=[
            {
                "name": "Eye",
                "hca_tissue_atlas": "Retina",
                "hca_tissue_atlas_version": "v1",
                "atlas_project": False,
            },
            {"name": "Eye", "hca_tissue_atlas": "Cornea", "atlas_project": True},
        ],
        publications=[{"publication_title": "T", "publication_url": "u", "doi": "d"}],
    )

    [project] = said_by(bundle)["projects", bundle.project]["projects"]

    assert (project["contact_names"], project["institutions"], project["laboratory"]) == (
        ["Ada", "Bo"],
        ["I"],
        ["L"],
    )
    assert [each["project_role"] for each in project["contributors"]] == ["principal", None]
    assert project["publication_titles"] == ["T"]
    assert project["bionetwork_name"] == ["Eye"]
    assert project["is_tissue_atlas_project"] is True
    assert project["tissue_atlas"] == [
        {"atlas": "Retina", "version": "v1"},
        {"atlas": "Cornea", "version": None},
    ]


def test_assay_types_of_imaging_are_counted() -> None:
    bundle = HcaBundle()
    probes = [{"assay_type": {"text": text}} for text in ("a", "b", "b")] + [{}]
    image = bundle.file("i.tiff", "image_file")
    bundle.link([], [image], [bundle.add("imaging_protocol", probe=probes)])

    [protocol] = said_by(bundle)["files", image]["imaging_protocols"]

    assert protocol["assay_type"] == {"a": 1, "b": 2}


# --- cells


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
    # A suspension has only itself, whatever it was made of.
    assert cells(said["cell_suspensions", last]) == {last: (70, 0)}
    assert cells(said["cell_suspensions", first]) == {first: (0, 100)}


# --- dates


def test_dates_are_in_utc_with_microseconds() -> None:
    bundle = sequenced()
    bundle.document(id_of("specimen"))["provenance"].update(
        submission_date="2020-01-01T12:00:00+02:00", update_date="2020-01-01T09:00:00"
    )

    [dates] = said_by(bundle)["samples", id_of("specimen")]["dates"]

    assert dates["submission_date"] == "2020-01-01T10:00:00.000000Z"
    assert dates["update_date"] == "2020-01-01T09:00:00.000000Z"
    assert dates["last_modified_date"] == "2020-01-01T10:00:00.000000Z"
    assert dates["aggregate_submission_date"] is None


def test_a_project_has_the_earliest_and_latest_dates_of_all_and_a_bundle_its_version() -> None:
    bundle = sequenced()
    bundle.document(id_of("specimen"))["provenance"].update(
        submission_date="2001-01-01T00:00:00Z", update_date=None
    )
    bundle.document(id_of("library"))["provenance"].update(update_date="2031-01-01T00:00:00Z")
    aggregate = {
        "aggregate_submission_date": "2001-01-01T00:00:00.000000Z",
        "aggregate_update_date": "2031-01-01T00:00:00.000000Z",
        "aggregate_last_modified_date": "2031-01-01T00:00:00.000000Z",
    }
    own = ("submission_date", "update_date", "last_modified_date")

    said = said_by(bundle)

    assert said["projects", bundle.project]["dates"] == [
        {"document_id": bundle.project}
        | dict(zip(own, (SUBMITTED_IN_UTC, UPDATED_IN_UTC, UPDATED_IN_UTC), strict=True))
        | aggregate
    ]
    assert VERSION == "2024-03-01T120000.000000Z"
    assert said["bundles", bundle.fqid.uuid]["dates"] == [
        {"document_id": bundle.fqid.uuid} | dict.fromkeys(own, "2024-03-01T12:00:00.000000Z") | aggregate
    ]


def test_without_any_date_there_is_none() -> None:
    bundle = sequenced()
    bundle.document(id_of("specimen"))["provenance"].update(submission_date=None, update_date=None)

    [dates] = said_by(bundle)["samples", id_of("specimen")]["dates"]

    assert [dates[name] for name in ("submission_date", "update_date", "last_modified_date")] == [None] * 3


# --- files


def test_a_file_has_the_entry_of_its_data_file() -> None:
    bundle = HcaBundle()
    file = bundle.file("deep!in!it.fastq", size=77, read_index="read1", lane_index=2)
    # In the metadata a slash, in the bundle an exclamation mark: both are a slash.
    bundle.document(file)["file_core"]["file_name"] = "deep/in!it.fastq"

    inner = of_file(bundle, file)

    assert (inner["name"], inner["size"], inner["uuid"]) == (
        "deep/in/it.fastq",
        77,
        id_of("data deep!in!it.fastq"),
    )
    assert (inner["read_index"], inner["lane_index"]) == ("read1", 2)
    assert inner["drs_uri"] == f"drs://dss.example/{inner['uuid']}.{VERSION}"
    assert "matrix_cell_count" not in inner


def test_one_member_of_a_zarr_store_stands_for_all() -> None:
    bundle = HcaBundle()
    stores = {
        name: [bundle.file(f"{name}.zarr/{member}", "analysis_file") for member in (".zattrs", "0", "sub/1")]
        for name in ("a", "b")
    }
    plain = bundle.file("plain.zarr.txt", "analysis_file")

    said = said_by(bundle)

    assert sorted(entity_id for kind, entity_id in said if kind == "files") == sorted(
        [plain, *(members[0] for members in stores.values())]
    )
    for name, members in stores.items():
        [inner] = said["files", members[0]]["files"]
        assert sorted(each["name"] for each in inner["related_files"]) == [
            f"{name}.zarr/0",
            f"{name}.zarr/sub/1",
        ]
    assert len(said["projects", bundle.project]["files"]) == 3
    assert all(each["related_files"] == [] for each in said["bundles", bundle.fqid.uuid]["files"])


# In this namespace the predecessor derived the ids of submitters from their names.
SUBMITTERS = UUID("382415e5-67a6-49be-8f3c-aaaa707d82db")


def matrix_file(bundle: HcaBundle, entity_type: str = "analysis_file", **core: Any) -> str:
    return bundle.file(
        f"{len(bundle.files)}.loom",
        entity_type,
        core={"content_description": [{"text": "Count Matrix"}], **core},
    )


def test_the_source_of_a_file_is_said_or_follows_from_who_submitted_or_made_it() -> None:
    bundle = HcaBundle()
    said = bundle.file("a", core={"file_source": "Said"})
    submitted, unknown, neither = bundle.file("b"), bundle.file("c"), bundle.file("d")
    bundle.document(submitted)["provenance"]["submitter_id"] = str(uuid5(SUBMITTERS, "geo"))
    bundle.document(unknown)["provenance"]["submitter_id"] = id_of("nobody")
    analysed = bundle.file("e", "analysis_file")
    bundle.link([neither], [analysed], process="analysis_process")

    sources = [of_file(bundle, file)["file_source"] for file in (said, submitted, unknown, neither, analysed)]

    assert sources == ["Said", "GEO", None, None, "DCP/2 Analysis"]


def test_only_a_matrix_can_be_intermediate() -> None:
    bundle = HcaBundle()
    raw = bundle.file("raw.fastq")
    step, final, unmade = (matrix_file(bundle) for _ in range(3))
    text = bundle.file("text.txt", "analysis_file")
    supplementary = matrix_file(bundle, "supplementary_file")
    analysis = bundle.add("analysis_protocol")
    bundle.link([raw], [step, text], [analysis])
    bundle.link([step], [final], process="analysis_process")
    bundle.document(final)["provenance"]["submitter_id"] = id_of("somebody")
    bundle.link([raw], [supplementary])

    found = [
        of_file(bundle, file)["is_intermediate"] for file in (raw, text, step, final, unmade, supplementary)
    ]

    assert found == [None, None, True, False, False, False]


# --- matrices


def test_a_matrix_without_a_graph_is_found_by_what_its_description_says() -> None:
    bundle = HcaBundle()
    matrix = matrix_file(bundle, "supplementary_file")
    bundle.document(matrix)["file_description"] = (
        "genusSpecies=Danio rerio,Mus musculus;developmentStage=adult;organ=fin,eye\n"
        "organ=gut;libraryConstructionApproach=Drops"
    )

    contents = said_by(bundle)["files", matrix]

    assert contents["donors"] == [
        {
            "biomaterial_id": "donor_organism_0.loom",
            "genus_species": ["Danio rerio", "Mus musculus"],
            "development_stage": ["adult"],
        }
    ]
    assert [each["organ"] for each in contents["specimens"]] == ["fin", "eye", "gut"]
    assert contents["library_preparation_protocols"] == [{"library_construction_approach": ["Drops"]}]


def matrices_of(bundle: HcaBundle, listed: str = "matrices") -> list[str]:
    contents = said_by(bundle)["projects", bundle.project]
    return [each["file"]["strata"] for each in contents[listed]]


def test_strata_of_a_matrix_follow_from_its_description_or_from_the_graph() -> None:
    bundle = sequenced()
    described = matrix_file(bundle, "supplementary_file")
    bundle.document(described)["file_description"] = "organ=fin;genusSpecies=Danio rerio\norgan=eye"
    made = matrix_file(bundle)
    bundle.link([id_of("bundle_1.fastq")], [made])

    assert sorted(matrices_of(bundle)) == [
        "genusSpecies=Danio rerio;developmentStage=adult;organ=brain;libraryConstructionApproach=Drops",
        "genusSpecies=Danio rerio;organ=fin\norgan=eye",
    ]


def test_matrices_of_others_are_contributed_analyses() -> None:
    bundle = HcaBundle()
    ours, theirs, step = (matrix_file(bundle) for _ in range(3))
    their_file = bundle.file("list.csv", "analysis_file", core={"file_source": "GEO"})
    bundle.file("reads.fastq", core={"file_source": "GEO"})
    bundle.document(theirs)["file_core"]["file_source"] = "ArrayExpress"
    bundle.link([step], [ours], process="analysis_process")
    bundle.document(ours)["provenance"]["submitter_id"] = id_of("somebody")

    contents = said_by(bundle)["projects", bundle.project]

    assert ids(contents, "matrices") == [ours]
    assert ids(contents, "contributed_analyses") == sorted([theirs, their_file])
