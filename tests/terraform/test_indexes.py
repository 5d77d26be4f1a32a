"""Firestore has the indexes that the code's queries need, and no others."""

import json

from shared.catalog.indexes import COMPOSITE_INDEXES, EXEMPTIONS, TIMES_TO_LIVE
from tests.support.terraform_cli import ROOT, Deployment

DESCRIBED = json.loads((ROOT / "terraform" / "firestore-indexes.json").read_text())


def test_terraform_has_the_composite_indexes_of_the_code() -> None:
    described = [
        (index["collection"], tuple((field["path"], field["mode"]) for field in index["fields"]))
        for index in DESCRIBED["composite_indexes"]
    ]

    assert sorted(described) == sorted((index.collection, index.fields) for index in COMPOSITE_INDEXES)


def test_terraform_exempts_the_fields_that_the_code_does() -> None:
    described = [(row["collection"], row["field"]) for row in DESCRIBED["exemptions"]]

    assert sorted(described) == sorted((row.collection, row.field) for row in EXEMPTIONS)


def test_what_is_described_is_what_is_deployed(deployments: dict[str, Deployment]) -> None:
    indexes = deployments["least"].of_type("google_firestore_index").values()
    exempt = deployments["least"].of_type("google_firestore_field").values()

    assert sorted(
        (
            index["collection"],
            tuple(
                (field["field_path"], field["order"] or field["array_config"]) for field in index["fields"]
            ),
        )
        for index in indexes
    ) == sorted((index.collection, index.fields) for index in COMPOSITE_INDEXES)
    assert sorted((field["collection"], field["field"]) for field in exempt) == sorted(
        (row.collection, row.field) for row in EXEMPTIONS
    )
    assert all(field["index_config"] == [{"indexes": []}] for field in exempt), "an index is left on"
    assert {row["database"] for row in [*indexes, *exempt]} == {"(default)"}
    assert [(field["collection"], field["field"]) for field in exempt if field["ttl_config"]] == list(
        TIMES_TO_LIVE
    )
