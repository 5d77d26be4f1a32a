"""What is read of documents, whose fields changed names and forms over the years."""

from typing import Any

import pytest

from tests.support.hca_sample import (
    SUBMITTED,
    UPDATED,
    VERSION,
    HcaBundle,
    id_of,
    said_by,
    sequenced,
)

SUBMITTED_IN_UTC, UPDATED_IN_UTC = (text.replace(".000Z", ".000000Z") for text in (SUBMITTED, UPDATED))


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
