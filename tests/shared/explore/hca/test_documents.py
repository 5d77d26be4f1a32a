"""What several bundles together make of an entity, and how the API shows it."""

from typing import Any

import pytest

from shared.explore.hca.hits import matrix_tree
from tests.support.catalogue import documents_of
from tests.support.hca_sample import PLUGIN, HcaBundle, id_of, sequenced

OLDER, NEWER = "2024-03-01T120000.000000Z", "2024-03-02T120000.000000Z"


def project_of(*bundles: HcaBundle) -> Any:
    """Return the document of the bundles' project."""
    documents = documents_of(PLUGIN, *(each.metadata() for each in bundles))
    return documents["projects", bundles[0].project]


def test_values_of_inner_entities_are_sorted_sets_with_null_last() -> None:
    bundles = [
        sequenced(f"b{number}", specimen=f"s{number}", organ=organ)
        for number, organ in enumerate(["fin", "eye", "fin"])
    ]
    bundles[2].document(id_of("s2"))["organ"] = None

    [specimen] = project_of(*bundles)["contents"]["specimens"]

    assert specimen["organ"] == ["eye", "fin", None]
    assert specimen["document_id"] == sorted(id_of(f"s{number}") for number in range(3))
    # Nobody has any: it is empty, though there.
    assert specimen["disease"] == []


def test_more_than_a_hundred_values_are_all_there() -> None:
    bundle = HcaBundle()
    for number in range(150):
        bundle.add("specimen_from_organism", organ={"text": f"organ {number:03}"})

    [specimen] = project_of(bundle)["contents"]["specimens"]

    assert specimen["organ"] == [f"organ {number:03}" for number in range(150)]


def test_of_what_is_the_same_in_several_bundles_the_greatest_version_counts() -> None:
    # The newer has the smaller UUID.
    older, newer = sequenced("a", OLDER, organ="old"), sequenced("b", NEWER, organ="new")
    assert newer.fqid.uuid < older.fqid.uuid

    for order in ([older, newer], [newer, older]):
        documents = documents_of(PLUGIN, *(each.metadata() for each in order))
        [sample] = documents["samples", id_of("specimen")]["contents"]["samples"]
        assert sample["organ"] == "new"


def test_cells_are_summed_over_suspensions_each_once_by_their_organs() -> None:
    # One suspension in two bundles, one of two organs, one that nobody has counted.
    shared = [sequenced(name, suspension="one", cells=100) for name in ("a", "b")]
    pooled = HcaBundle("c")
    tissues = [pooled.add("specimen_from_organism", organ={"text": organ}) for organ in ("fin", "eye")]
    for number in (7, None):
        cells = pooled.add("cell_suspension", estimated_cell_count=number)
        pooled.link(tissues[::-1] if number else tissues, [cells])
        pooled.link([cells], [pooled.file(f"{number}.fastq")])

    document = project_of(*shared, pooled)

    by_organ = {tuple(each["organ"]): each for each in document["contents"]["cell_suspensions"]}
    assert {organs: each["total_estimated_cells"] for organs, each in by_organ.items()} == {
        ("brain",): 100,
        ("eye", "fin"): 7,
    }
    assert document["cell_count"] == 107


@pytest.mark.parametrize(("estimate", "cells"), [(None, 200), (900, 900), (0, 0)])
def test_a_project_has_as_many_cells_as_its_newest_bundle_says_or_as_are_counted(
    estimate: int | None, cells: int
) -> None:
    older, newer = sequenced("a", OLDER), sequenced("b", NEWER)
    older.document(older.project)["estimated_cell_count"] = 500
    newer.document(newer.project)["estimated_cell_count"] = estimate

    documents = documents_of(PLUGIN, older.metadata(), newer.metadata())

    document = documents["projects", older.project]
    assert (document["cell_count"], document["effective_cell_count"]) == (200, cells)
    assert documents["samples", id_of("specimen")]["effective_cell_count"] == 200


def test_files_of_a_sample_are_summed_by_format_and_content() -> None:
    bundle = sequenced()
    index = bundle.file("i.bai", "analysis_file", size=5)
    matrices = [
        bundle.file(
            f"{number}.mtx",
            "analysis_file",
            size=number,
            core={"content_description": [{"text": "matrix"}], "file_source": source},
            matrix_cell_count=cells,
        )
        for number, cells, source in ((1, 10, "GEO"), (2, None, "SCP"), (3, 20, "GEO"))
    ]
    bundle.link([id_of("bundle_1.fastq")], [index, *matrices])

    document = documents_of(PLUGIN, bundle.metadata())["samples", id_of("specimen")]

    summaries = PLUGIN.hit("samples", document)["fileTypeSummaries"]
    assert sorted(summaries, key=lambda each: each["format"]) == [
        {
            "format": "bai",
            "count": 1,
            "totalSize": 5,
            "matrixCellCount": None,
            "fileSource": [None],
            "isIntermediate": None,
            "contentDescription": [],
        },
        {
            "format": "fastq",
            "count": 2,
            "totalSize": 30,
            "matrixCellCount": None,
            "fileSource": [None],
            "isIntermediate": None,
            "contentDescription": [],
        },
        {
            "format": "mtx",
            "count": 3,
            "totalSize": 6,
            "matrixCellCount": 30,
            "fileSource": ["GEO", "SCP"],
            "isIntermediate": False,
            "contentDescription": ["matrix"],
        },
    ]


def test_a_bundle_shows_each_of_its_files() -> None:
    bundle = sequenced()

    document = documents_of(PLUGIN, bundle.metadata())["bundles", bundle.fqid.uuid]

    hit = PLUGIN.hit("bundles", document)
    assert sorted(each["name"] for each in hit["files"]) == ["bundle_1.fastq", "bundle_2.fastq"]
    assert hit["bundles"] == [{"bundleUuid": bundle.fqid.uuid, "bundleVersion": bundle.fqid.version}]


def test_donors_are_counted_by_their_names_and_keep_each_age() -> None:
    bundle = HcaBundle()
    for name, age in (("x", "1"), ("x", "2"), ("y", None)):
        bundle.link(
            [
                bundle.add(
                    "donor_organism",
                    f"{name} {age}",
                    biomaterial_core={"biomaterial_id": name},
                    organism_age=age,
                    organism_age_unit={"text": "year"},
                )
            ],
            [bundle.add("specimen_from_organism", f"of {name} {age}")],
        )

    [donors] = project_of(bundle)["contents"]["donors"]

    year = 31_536_000.0
    assert donors["donor_count"] == 2
    assert donors["organism_age"] == [{"unit": "year", "value": "1"}, {"unit": "year", "value": "2"}, None]
    # Of the third it is not known, rather than null.
    assert donors["organism_age_range"] == [[year, year], [2 * year, 2 * year]]


def test_dates_of_an_entity_in_several_bundles_are_the_earliest_and_the_latest() -> None:
    older, newer = sequenced("a", OLDER), sequenced("b", NEWER)
    newer.document(newer.project)["provenance"].update(submission_date="2001-01-01T00:00:00Z")
    older.document(id_of("specimen"))["provenance"].update(update_date="2031-01-01T00:00:00Z")

    [dates] = project_of(older, newer)["contents"]["dates"]

    assert dates["submission_date"] == "2001-01-01T00:00:00.000000Z"
    # As the newer has them: of one inner entity the greatest version counts.
    assert dates["aggregate_update_date"] == "2024-02-01T10:00:00.000000Z"


def test_assay_types_are_listed_most_frequent_first() -> None:
    bundle = HcaBundle()
    for texts in ("abb", "ba", "c"):
        probes = [{"assay_type": {"text": text}} for text in texts]
        bundle.link(
            [], [bundle.file(f"{texts}.tiff", "image_file")], [bundle.add("imaging_protocol", probe=probes)]
        )

    [protocol] = project_of(bundle)["contents"]["imaging_protocols"]

    assert protocol["assay_type"] == ["b", "a", "c"]


def test_only_the_projects_own_document_has_its_people_and_description() -> None:
    bundle = sequenced()
    bundle.document(bundle.project)["contributors"] = [{"name": "Ada", "laboratory": "L"}]

    documents = documents_of(PLUGIN, bundle.metadata())

    [own] = PLUGIN.hit("projects", documents["projects", bundle.project])["projects"]
    assert (own["projectDescription"], own["contributors"][0]["contactName"]) == ("Invented.", "Ada")
    [other] = PLUGIN.hit("samples", documents["samples", id_of("specimen")])["projects"]
    assert "contributors" not in other
    assert (other["projectTitle"], other["laboratory"]) == (["Title of project"], ["L"])
    assert own["laboratory"] == ["L"]


def test_values_are_scalars_in_an_entitys_own_document_and_lists_elsewhere() -> None:
    bundle = sequenced()
    documents = documents_of(PLUGIN, bundle.metadata())

    own = PLUGIN.hit("samples", documents["samples", id_of("specimen")])["samples"]
    elsewhere = PLUGIN.hit("projects", documents["projects", bundle.project])["samples"]

    assert [(each["sampleEntityType"], each["effectiveOrgan"]) for each in own] == [("specimens", "brain")]
    assert [(each["sampleEntityType"], each["effectiveOrgan"]) for each in elsewhere] == [
        (["specimens"], ["brain"])
    ]


def matrix(name: str, strata: str) -> Any:
    return {"file": [{"name": name, "strata": strata}]}


def leaves(tree: Any) -> Any:
    """Return a tree with the names of files at its leaves."""
    if isinstance(tree, list):
        return [each["name"] for each in tree]
    return {key: leaves(value) for key, value in tree.items()}


def test_matrices_are_in_a_tree_without_dimensions_that_none_has() -> None:
    tree = matrix_tree(
        [
            matrix("a", "genusSpecies=F,M;organ=fin\ngenusSpecies=M;organ=eye"),
            matrix("b", "organ=fin"),
        ]
    )

    assert leaves(tree) == {
        "genusSpecies": {
            "F": {"organ": {"fin": ["a"]}},
            "M": {"organ": {"fin": ["a"], "eye": ["a"]}},
            "Unspecified": {"organ": {"fin": ["b"]}},
        }
    }
    assert matrix_tree([]) == {}


def test_a_label_with_separators_stays_one_value_of_the_tree() -> None:
    bundle = sequenced(organ="skin, 100% left; a=b")
    made = bundle.file("m.loom", "analysis_file", core={"content_description": [{"text": "matrix"}]})
    bundle.link([id_of("bundle_1.fastq")], [made])

    [project] = PLUGIN.hit("projects", project_of(bundle))["projects"]

    species = project["matrices"]["genusSpecies"]["Danio rerio"]["developmentStage"]["adult"]
    assert list(species["organ"]) == ["skin, 100% left; a=b"]


def test_words_of_titles_descriptions_and_names_find_a_project() -> None:
    bundle = sequenced()

    words = PLUGIN.words(project_of(bundle))

    assert {"Title", "Invented."} <= set(words.split())
