"""Firestore has the indexes that the code's queries need, and no others."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from shared.catalog.indexes import COLLECTIONS, COMPOSITE_INDEXES, FIELD_INDEXES, TIMES_TO_LIVE, FieldIndex
from tests.support.terraform_cli import ROOT, Deployment

NEEDED = {f"google_firestore_{name}," for name in ("index.composite", "field.every", "field.own")}
DESCRIBED = json.loads((ROOT / "terraform" / "firestore-indexes.json").read_text())


def test_terraform_has_the_composite_indexes_of_the_code() -> None:
    described = [
        (index["collection"], tuple((field["path"], field["mode"]) for field in index["fields"]))
        for index in DESCRIBED["composite_indexes"]
    ]

    assert sorted(described) == sorted((index.collection, index.fields) for index in COMPOSITE_INDEXES)


def test_terraform_has_the_field_indexes_of_the_code() -> None:
    described = [FieldIndex(**_as_in_code(row)) for row in DESCRIBED["field_indexes"]]

    assert sorted(described, key=str) == sorted(FIELD_INDEXES, key=str)


def _as_in_code(row: dict[str, str]) -> dict[str, Any]:
    names = {name: row[name] for name in ("collection", "field", "mode")}
    return {**names, "across": row["scope"] == "COLLECTION_GROUP"}


def test_every_collection_that_the_code_names_is_kept_out_of_indexes() -> None:
    # Nothing is written to it: it is read to see whether Firestore answers.
    named = set(_collections_in_code()) - {"health"}

    assert sorted(named) == sorted(COLLECTIONS) == sorted(DESCRIBED["collections"])


def _collections_in_code() -> Iterator[str]:
    """Yield what the client, or the parent of a catalog, takes as the name of a collection."""
    for path in (ROOT / "shared" / "catalog").glob("*.py"):
        yield from _names_in(ast.parse(path.read_text()))
    yield from _names_in(ast.parse((ROOT / "shared/search/firestore/backend.py").read_text()))


def _names_in(tree: ast.AST) -> Iterator[str]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _takes_a_collection(ast.unparse(call)):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            constants = [value.value for value in given if isinstance(value, ast.Constant)]
            yield from (name for name in constants if isinstance(name, str))


def _takes_a_collection(call: str) -> bool:
    return bool(re.search(r"(^super\(\)\.__init__\(database, |\.collection(_group)?\()[^()]*\)$", call))


def test_indexes_and_times_to_live_are_in_collections_that_are_kept_out_of_indexes() -> None:
    own = [(row.collection, row.field) for row in FIELD_INDEXES]

    assert {collection for collection, _ in (*own, *TIMES_TO_LIVE)} <= set(COLLECTIONS)
    assert len(set(own)) == len(own)
    assert not set(own) & set(TIMES_TO_LIVE), "an index on times grows at its end"


def test_what_is_described_is_what_is_deployed(deployments: dict[str, Deployment]) -> None:
    indexes = deployments["least"].of_type("google_firestore_index").values()
    fields = deployments["least"].of_type("google_firestore_field")
    every = [row for name, row in fields.items() if ".every[" in name]
    own = [row for name, row in fields.items() if ".own[" in name]

    assert len(every) + len(own) == len(fields)
    assert sorted(
        (
            index["collection"],
            tuple(
                (field["field_path"], field["order"] or field["array_config"]) for field in index["fields"]
            ),
        )
        for index in indexes
    ) == sorted((index.collection, index.fields) for index in COMPOSITE_INDEXES)
    assert sorted((row["collection"], row["field"]) for row in every) == [
        (collection, "*") for collection in sorted(COLLECTIONS)
    ]
    assert all(row["index_config"] == [{"indexes": []}] for row in every), "an index is left on"
    assert not any(row["ttl_config"] for row in every), "Firestore refuses it"
    assert sorted(_deployed_indexes(own), key=str) == sorted(FIELD_INDEXES, key=str)
    assert {row["database"] for row in [*indexes, *fields.values()]} == {"(default)"}
    expiring = [(row["collection"], row["field"]) for row in own if row["ttl_config"]]
    assert sorted(expiring) == sorted(TIMES_TO_LIVE)
    assert len(own) == len(FIELD_INDEXES) + len(TIMES_TO_LIVE)


def _deployed_indexes(fields: list[dict[str, Any]]) -> Iterator[FieldIndex]:
    for field in fields:
        [config] = field["index_config"]
        for index in config["indexes"]:
            mode = index["order"] or index["array_config"]
            across = index["query_scope"] == "COLLECTION_GROUP"
            yield FieldIndex(field["collection"], field["field"], mode, across=across)


def test_the_guide_says_how_many_operations_the_first_apply_takes(deployments: dict[str, Deployment]) -> None:
    least = deployments["least"]
    fields = least.of_type("google_firestore_field")
    counts = (
        len(least.of_type("google_firestore_index")),
        sum(".every[" in name for name in fields),
        sum(".own[" in name for name in fields),
    )

    guide = " ".join((ROOT / "docs" / "deploy.md").read_text().split())

    said = "{} composite indexes, {} collections whose fields have no index, and {} fields".format(*counts)
    assert f"{sum(counts)} operations: {said}" in guide


def test_services_wait_for_the_indexes_of_their_queries() -> None:
    for file, kind in (
        ("api.tf", "google_cloud_run_v2_service"),
        ("functions.tf", "google_cloud_run_v2_service"),
    ):
        text = (ROOT / "terraform" / file).read_text()
        [block] = re.findall(rf'^resource "{kind}" .*?^}}', text, re.MULTILINE | re.DOTALL)
        waits = block.split("depends_on = [")[1]
        assert set(waits.split()) >= NEEDED


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
