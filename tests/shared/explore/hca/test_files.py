"""What is said of data files, and of matrices among them."""

from typing import Any
from uuid import UUID, uuid5

from tests.support.hca_sample import (
    VERSION,
    HcaBundle,
    id_of,
    ids_in,
    said_by,
    sequenced,
)


def of_file(bundle: HcaBundle, file: str) -> dict[str, Any]:
    [inner] = said_by(bundle)["files", file]["files"]
    return inner


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

    assert ids_in(contents, "matrices") == [ours]
    assert ids_in(contents, "contributed_analyses") == sorted([theirs, their_file])
