"""What readers find: filters, facets, orders, pages and the summary, over a catalogue of invented bundles."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import IllegalArguments
from shared.explore.query import PageOrder
from tests.support.catalogue import ANYBODY, TestCatalogue, open_catalogue
from tests.support.hca_sample import HcaBundle, id_of, sequenced
from tests.support.postgresql_server import StoppableServer

ORGANS = {"s1": {"text": "fin"}, "s2": {"text": "eye"}, "s3": None}
LONG = "a very long name of a disease " * 20


def bundles() -> list[HcaBundle]:
    """Return three bundles with a specimen each, and one with a cell line and without a donor."""
    found = []
    for number, (specimen, organ) in enumerate(ORGANS.items(), 1):
        bundle = sequenced(f"b{number}", specimen=specimen, project=f"p{number % 2}", cells=number * 10)
        bundle.document(id_of(specimen)).update(organ=organ, diseases=[{"text": LONG}] if number == 1 else [])
        bundle.document(id_of(f"donor of {specimen}")).update(
            organism_age=str(number), genus_species=[{"text": "F"}, {"text": f"M{number}"}]
        )
        bundle.document(bundle.project).update(
            geo_series_accessions=[f"GSE{number % 2}"],
            contributors=[{"name": "Ada", "laboratory": f"L{number % 2}"}],
            hca_bionetworks=[{"hca_tissue_atlas": "Eye", "hca_tissue_atlas_version": f"v{number % 2}"}],
        )
        found.append(bundle)
    line = HcaBundle("b4", project="p4")
    line.document(line.project).update(estimated_cell_count=1000)
    cells = line.add("cell_line", "line", type="primary", model_organ={"text": "eye"})
    line.link([cells], [line.file("line.bam", size=5)])
    return [*found, line]


@pytest.fixture(scope="module")
def found(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    with open_catalogue(postgresql.dsn) as catalogue:
        for bundle in bundles():
            catalogue.put(bundle.metadata())
        yield catalogue


def samples(found: TestCatalogue, **filters: Any) -> list[str]:
    """Return the names of the samples that match, sorted."""
    names = {id_of(name): name for name in ("s1", "s2", "s3", "line")}
    return sorted(names[each] for each in found.ids("samples", filters))


YEAR = 31_536_000


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["line", "s1", "s2", "s3"]),
        ({"organ": {"is": ["fin", "eye"]}}, ["s1", "s2"]),
        ({"organ": {"is": ["Fin"]}}, []),
        ({"organ": {"is": []}}, []),
        ({"effectiveOrgan": {"is": ["eye"]}}, ["line", "s2"]),
        # Null, and what has no such field.
        ({"organ": {"is": [None]}}, ["line", "s3"]),
        ({"organ": {"is": [None, "fin"]}}, ["line", "s1", "s3"]),
        ({"genusSpecies": {"is": [None]}}, ["line"]),
        ({"specimenDisease": {"is": [None]}}, ["line", "s2", "s3"]),
        ({"specimenDisease": {"is": [LONG]}}, ["s1"]),
        # Any of several values.
        ({"genusSpecies": {"is": ["M2"]}}, ["s2"]),
        ({"genusSpecies": {"is": ["F"]}, "organ": {"is": ["fin"]}}, ["s1"]),
        (
            {"organismAge": {"is": [{"value": "1", "unit": "year"}, {"value": "3", "unit": "year"}]}},
            ["s1", "s3"],
        ),
        ({"organismAge": {"is": [None]}}, ["line"]),
        ({"organismAgeRange": {"within": [[YEAR, 2 * YEAR]]}}, ["s1", "s2"]),
        ({"organismAgeRange": {"contains": [2 * YEAR]}}, ["s2"]),
        ({"organismAgeRange": {"intersects": [[2.5 * YEAR, 9 * YEAR]]}}, ["s3"]),
        ({"organismAgeRange": {"is": [None]}}, ["line"]),
        ({"organismAgeRange": {"is": [[YEAR, YEAR]]}}, ["s1"]),
        ({"organismAgeRange": {"is": [[YEAR, YEAR], None, [2.0 * YEAR, 2 * YEAR]]}}, ["line", "s1", "s2"]),
        ({"organismAgeRange": {"is": []}}, []),
        ({"sampleId": {"is": ["s3", "nobody", "s1"]}}, ["s1", "s3"]),
        ({"cellCount": {"is": [10, 30.0]}, "sampleId": {"is": ["s1", "s2"]}}, ["s1"]),
        ({"sampleId": {"is": []}}, []),
        ({"cellCount": {"within": [[10, 20]]}}, ["s1", "s2"]),
        ({"cellCount": {"within": [[10, 30], [20, 99]]}}, ["s2", "s3"]),
        ({"cellCount": {"is": [30]}}, ["s3"]),
        ({"accessions": {"is": [{"namespace": "geo_series", "accession": "GSE1"}]}}, ["s1", "s3"]),
        ({"accessions": {"is": [{"namespace": "geo_series"}]}}, ["s1", "s2", "s3"]),
        ({"accessions": {"is": [{"namespace": "other", "accession": "GSE1"}]}}, []),
        ({"tissueAtlas": {"is": [{"atlas": "Eye", "version": "v0"}]}}, ["s2"]),
        ({"pairedEnd": {"is": [True]}}, ["s1", "s2", "s3"]),
        ({"bundleUuid": {"is": [id_of("b4"), id_of("b1")]}}, ["line", "s1"]),
        ({"entryId": {"is": [id_of("s2")]}}, ["s2"]),
        ({"sampleId": {"is": ["s2", "nobody"]}}, ["s2"]),
        (
            {"submissionDate": {"within": [["2024-01-01T10:00:00.000000Z", "2024-01-01T10:00:00.000000Z"]]}},
            ["line", "s1", "s2", "s3"],
        ),
        (
            {"submissionDate": {"within": [["2024-01-01T10:00:00.000001Z", "2025-01-01T10:00:00.000000Z"]]}},
            [],
        ),
    ],
)
def test_filters_find_samples(found: TestCatalogue, filters: Any, expected: list[str]) -> None:
    assert samples(found, **filters) == expected
    # What is counted is what is found.
    assert found.counts("samples", filters)[0] == len(expected)


def test_a_range_is_another_if_it_begins_where_this_ends(catalogue: TestCatalogue) -> None:
    bundle = sequenced()
    bundle.document(id_of("donor of specimen")).update(organism_age="5-10")
    catalogue.put(bundle.metadata())

    def found(*values: Any) -> list[str]:
        return catalogue.ids("samples", {"organismAgeRange": {"is": [list(map(YEAR.__mul__, values))]}})

    assert found(5, 10) == [id_of("specimen")]
    assert found(10, 5) == found(5, 5) == found(10, 10) == []


def test_thousands_of_values_are_looked_up_at_once(found: TestCatalogue) -> None:
    values = [*map(str, range(4990)), "s1", "s2", None]

    # Documents of samples have no names of files.
    assert samples(found, sampleId={"is": values}, fileName={"is": values}) == ["s1", "s2"]
    assert samples(found, sampleId={"is": values}, fileName={"is": values[:-1]}) == []
    assert samples(found, sampleId={"is": values}, entryId={"is": [id_of("s2")]}) == ["s2"]


ODD = [None, "", "x' OR true --", "\\", "\0", "\ud800", "😀", '"}', -1, 0, 1e308, 10**400, float("inf"), True]
ODD_VALUES = [
    *ODD,
    [0, 1],
    [1, 0],
    [-1e308, 1e308],
    {"value": "1", "unit": None},
    {"accession": "x' --"},
    {"atlas": "x'"},
]


# One field of each type, and those that other tables answer.
ASKED = (
    "organ",
    "pairedEnd",
    "organismAge",
    "tissueAtlas",
    "accessions",
    "fileName",
    "entryId",
    "bundleUuid",
)


@pytest.mark.parametrize("name", [*ASKED, "sourceId", "cellCount", "organismAgeRange", "submissionDate"])
def test_odd_values_find_nothing_that_they_should_not_and_break_nothing(
    found: TestCatalogue, name: str
) -> None:
    everything = set(found.ids("samples"))
    answered = 0
    for relation in ("is", "within", "contains", "intersects"):
        for value in ODD_VALUES:
            try:
                ids = found.ids("samples", {name: {relation: [value]}})
            except IllegalArguments:
                continue
            answered += 1
            assert set(ids) <= everything
            # Of the others some are those of samples, and some are ranges.
            if not isinstance(value, list) and value not in (None, True, 0):
                assert ids == [], (relation, value)
    assert answered


def test_a_facet_is_counted_without_the_filter_on_itself(found: TestCatalogue) -> None:
    total, facets = found.counts("samples", {"organ": {"is": ["fin"]}})

    assert total == 1
    assert (facets["organ"].terms, facets["organ"].total) == ([(None, 2), ("eye", 1), ("fin", 1)], 4)
    assert facets["genusSpecies"].terms == [("F", 1), ("M1", 1)]


@pytest.mark.parametrize(
    "of_documents",
    [{"cellCount": {"within": [[10, 20]]}}, {"organismAgeRange": {"within": [[YEAR, 2 * YEAR]]}}],
)
def test_other_filters_than_its_own_hold_for_a_facet(found: TestCatalogue, of_documents: Any) -> None:
    total, facets = found.counts("samples", {"organ": {"is": ["fin"]}, **of_documents})

    assert total == 1
    assert (facets["organ"].terms, facets["organ"].total) == ([("eye", 1), ("fin", 1)], 2)
    assert facets["genusSpecies"].terms == [("F", 1), ("M1", 1)]


def test_null_and_missing_are_one_term_which_comes_last_if_none_is_null(found: TestCatalogue) -> None:
    _, facets = found.counts("samples")

    # A specimen without an organ, and a cell line.
    assert facets["organ"].terms == [(None, 2), ("eye", 1), ("fin", 1)]
    assert facets["genusSpecies"].terms == [("F", 3), ("M1", 1), ("M2", 1), ("M3", 1), (None, 1)]
    assert facets["genusSpecies"].total == 4
    # Nobody has any: there is no total of it.
    assert (facets["assayType"].terms, facets["assayType"].total) == ([(None, 4)], 0)


def test_an_atlas_is_counted_by_its_name_and_ages_are_objects(found: TestCatalogue) -> None:
    _, facets = found.counts("samples")

    assert (facets["tissueAtlas"].terms, facets["tissueAtlas"].total) == ([("Eye", 3)], 3)
    assert ({"value": "1", "unit": "year"}, 1) in facets["organismAge"].terms


def names_in_order(found: TestCatalogue, sort: str, *, descending: bool = False) -> list[str]:
    names = {id_of(name): name for name in ("s1", "s2", "s3", "line")}
    return [names[each] for each in found.pages("samples", sort, descending=descending)]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("sampleId", ["line", "s1", "s2", "s3"]),
        ("cellCount", ["line", "s1", "s2", "s3"]),
        # Null comes after all values, and what lacks the field after that.
        ("specimenOrgan", ["s2", "s1", "s3", "line"]),
        ("donorCount", [*sorted(("s1", "s2", "s3"), key=id_of), "line"]),
        ("submissionDate", sorted(("s1", "s2", "s3", "line"), key=id_of)),
        # By the least of several values, which is the same of three: these are in order of their ids.
        ("genusSpecies", [*sorted(("s1", "s2", "s3"), key=id_of), "line"]),
    ],
)
def test_orders_are_exactly_reversed(found: TestCatalogue, sort: str, expected: list[str]) -> None:
    assert names_in_order(found, sort) == expected
    assert names_in_order(found, sort, descending=True) == expected[::-1]


def test_a_place_that_no_page_has_named_is_refused(found: TestCatalogue) -> None:
    for key in ("", "0x", "~null"):
        order = PageOrder(sort=found.fields["cellCount"], descending=False, size=2, after=(key, id_of("s1")))
        with pytest.raises(IllegalArguments, match="cellCount"):
            found.store.page(found.catalogue, ANYBODY, found.query("samples"), order)


@pytest.mark.parametrize(
    ("ranges", "is_found"),
    [
        ([[10, 10]], True),
        ([[5, 15]], True),
        ([[30, 99]], True),
        ([[1, 99]], True),
        # Between the least and the greatest there is another one, or nothing.
        ([[15, 25]], True),
        ([[21, 29]], False),
        ([[11, 19]], False),
        ([[0, 9]], False),
        ([[31, 99]], False),
        ([[10, 12], [28, 30]], True),
        ([[10, 12], [21, 29]], False),
    ],
)
def test_one_of_several_values_is_in_a_range(
    sizes: TestCatalogue, ranges: list[list[int]], is_found: bool
) -> None:
    filters = {"fileSize": {"within": ranges}}

    assert sizes.ids("bundles", filters) == ([id_of("many")] if is_found else [])
    assert sizes.counts("bundles", filters)[0] == is_found
    # In the other orders the same is found, by other statements.
    for sort in ("bundleVersion", "fileSize", "organ"):
        order = PageOrder(sort=sizes.fields[sort], descending=True, size=5)
        found = sizes.store.page(sizes.catalogue, ANYBODY, sizes.query("bundles", filters), order).found
        assert [each.entity_id for each in found] == ([id_of("many")] if is_found else [])


@pytest.fixture(scope="module")
def sizes(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """A catalogue of one bundle, whose files have three sizes."""
    with open_catalogue(postgresql.dsn) as catalogue:
        many = HcaBundle("many")
        line = many.add("cell_line", "line", type="primary", model_organ={"text": "eye"})
        many.link([line], [many.file(f"{size}.bam", size=size) for size in (10, 20, 30)])
        catalogue.put(many.metadata())
        yield catalogue


def test_a_page_says_whether_there_are_others(found: TestCatalogue) -> None:
    def page(**position: Any) -> tuple[list[str], bool, bool]:
        order = PageOrder(sort=found.fields["sampleId"], descending=False, size=2, **position)
        answer = found.store.page(found.catalogue, ANYBODY, found.query("samples"), order)
        names = [each.document["contents"]["samples"][0]["biomaterial_id"] for each in answer.found]
        places.extend(each.position for each in answer.found)
        return names, answer.has_previous, answer.has_next

    places: list[Any] = []
    assert page() == (["line", "s1"], False, True)
    # A last page that is full is the last.
    assert page(after=places[1]) == (["s2", "s3"], True, False)
    assert page(before=places[2]) == (["line", "s1"], False, True)
    assert page(after=places[3]) == ([], True, False)


def test_the_summary_counts_each_thing_once(found: TestCatalogue) -> None:
    summary = found.summary()

    assert {name: summary[name] for name in summary if name.endswith("Count")} == {
        "projectCount": 3,
        "specimenCount": 3,
        # F, M1, M2, M3.
        "speciesCount": 4,
        "donorCount": 3,
        "labCount": 3,
        "fileCount": 7,
    }
    assert summary["totalFileSize"] == 95.0
    assert sorted(map(str, summary["organTypes"])) == ["None", "eye", "fin"]
    assert summary["fileTypeSummaries"] == [
        {"format": "fastq", "count": 6, "totalSize": 90.0, "matrixCellCount": 0.0},
        {"format": "bam", "count": 1, "totalSize": 5.0, "matrixCellCount": 0.0},
    ]
    by_organ = {tuple(each["organType"]): each for each in summary["cellCountSummaries"]}
    assert by_organ[("fin",)] == {
        "organType": ["fin"],
        "countOfDocsWithOrganType": 1,
        "totalCellCountByOrgan": 10.0,
    }
    assert summary["projects"] == [
        {"projects": {"estimatedCellCount": 1000.0}, "cellSuspensions": {"totalCells": None}},
        {"projects": {"estimatedCellCount": None}, "cellSuspensions": {"totalCells": 60.0}},
    ]


def test_the_summary_obeys_filters_and_is_the_same_however_it_is_counted(found: TestCatalogue) -> None:
    by_facet = found.summary({"effectiveOrgan": {"is": ["fin"]}})
    by_document = found.summary({"bundleUuid": {"is": [id_of("b1")]}})

    assert by_facet["fileCount"] == 2
    assert by_facet["specimenCount"] == by_facet["donorCount"] == 1
    # The project has another bundle, which is about another organ.
    assert {**by_document, "projects": None} == {**by_facet, "projects": None}


def test_words_find_what_has_all_of_them(found: TestCatalogue) -> None:
    def ids(words: str) -> list[str]:
        query = found.query("projects")
        order = PageOrder(sort=found.fields["entryId"], descending=False, size=9)
        page = found.store.page(
            found.catalogue, ANYBODY, type(query)(entity_type="projects", words=words), order
        )
        return [each.entity_id for each in page.found]

    assert ids("title P4") == [id_of("p4")]
    assert sorted(ids("ada")) == sorted([id_of("p0"), id_of("p1")])
    assert ids("ada p4") == []
    # All that is typed is text, and no language of its own.
    assert ids("' \\ :* <-> & | nothing") == []
    assert len(ids("' \\ :* <-> & |")) == 3


def test_a_text_of_a_mebibyte_is_stored_found_and_sorted(catalogue: TestCatalogue) -> None:
    long = "é" * 2**19 + "!"
    bundle = sequenced()
    bundle.document(id_of("specimen")).update(organ={"text": long}, biomaterial_core={"biomaterial_id": long})
    catalogue.put(bundle.metadata())

    assert catalogue.ids("samples", {"organ": {"is": [long]}}) == [id_of("specimen")]
    assert catalogue.ids("samples", {"sampleId": {"is": [long]}}) == [id_of("specimen")]
    assert catalogue.pages("samples", "organ") == [id_of("specimen")]
