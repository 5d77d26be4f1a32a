"""Firestore has the indexes that the code's queries need, and no others."""

import json
import re

import yaml

from shared.catalog.indexes import COMPOSITE_INDEXES, EXEMPTIONS, GROUP_LISTS, TIMES_TO_LIVE
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
    fields = deployments["least"].of_type("google_firestore_field")
    exempt = [row for name, row in fields.items() if ".exempt[" in name]
    lists = [row for name, row in fields.items() if ".group_list[" in name]

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
    assert [(field["collection"], field["field"]) for field in lists] == [
        (row.collection, row.field) for row in GROUP_LISTS
    ]
    for field in lists:
        [[index]] = [config["indexes"] for config in field["index_config"]]
        assert (index["query_scope"], index["array_config"]) == ("COLLECTION_GROUP", "CONTAINS")
    assert all(field["index_config"] == [{"indexes": []}] for field in exempt), "an index is left on"
    assert {row["database"] for row in [*indexes, *exempt, *lists]} == {"(default)"}
    expiring = [(field["collection"], field["field"]) for field in exempt if field["ttl_config"]]
    assert sorted(expiring) == sorted(TIMES_TO_LIVE)


def test_services_wait_for_the_indexes_of_their_queries() -> None:
    for file, kind in (
        ("api.tf", "google_cloud_run_v2_service"),
        ("functions.tf", "google_cloud_run_v2_service"),
    ):
        text = (ROOT / "terraform" / file).read_text()
        [block] = re.findall(rf'^resource "{kind}" .*?^}}', text, re.MULTILINE | re.DOTALL)
        waits = block.split("depends_on = [")[1]
        assert {"google_firestore_index.composite,", "google_firestore_field.exempt,"} <= set(waits.split())


def test_an_index_has_time_to_be_built_within_the_time_of_a_build(deployments: dict[str, Deployment]) -> None:
    build = int(yaml.safe_load((ROOT / "cloudbuild-apply.yaml").read_text())["timeout"].removesuffix("s"))
    least = deployments["least"]

    for kind in ("google_firestore_index", "google_firestore_field"):
        for row in least.of_type(kind).values():
            minutes = {int(row["timeouts"][name].removesuffix("m")) for name in ("create", "delete")}
            assert 60 < min(minutes) <= max(minutes) < build / 60


def test_the_catalog_is_backed_up_each_day_and_each_week(deployments: dict[str, Deployment]) -> None:
    daily = deployments["least"].one("google_firestore_backup_schedule.daily")
    weekly = deployments["least"].one("google_firestore_backup_schedule.weekly")

    assert {daily["database"], weekly["database"]} == {"(default)"}
    assert (len(daily["daily_recurrence"]), daily["retention"]) == (1, f"{14 * 86400}s")
    # Firestore: 14 weeks at most.
    assert (len(weekly["weekly_recurrence"]), weekly["retention"]) == (1, f"{14 * 7 * 86400}s")
