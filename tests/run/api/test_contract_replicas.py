"""Requests may name configured replicas like those of the contract."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from run.api.contract import Contract
from shared.errors import IllegalArguments

UUID = "2f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11"


def enums(part: Any) -> Iterator[list[str]]:
    if isinstance(part, dict):
        if "gcp" in part.get("enum", ()):
            yield part["enum"]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from enums(item)


def test_the_document_lists_them_everywhere() -> None:
    found = list(enums(Contract.load(replicas=["gcp", "aws", "disk"]).document))
    assert len(found) == len(list(enums(Contract.load().document))) > 20
    assert all(enum == ["aws", "gcp", "disk"] for enum in found)


def test_without_any_the_document_is_that_of_the_release() -> None:
    assert Contract.load(replicas=["gcp", "aws"]).document == Contract.load().document


def test_a_loaded_contract_changes_no_later_one() -> None:
    Contract.load(replicas=["disk"])
    assert "disk" not in json.dumps(list(enums(Contract.load().document)))


@pytest.mark.parametrize("operation_id", ["files.get", "bundles.put", "drs.get", "subscriptions.list_own"])
def test_requests_may_name_them_and_no_others(operation_id: str) -> None:
    contract = Contract.load(replicas=["disk"])
    operation = next(one for one in contract.operations if one.operation_id == operation_id)
    path = {"uuid": UUID, "object_id": UUID}
    query = {"replica": "disk", **({"version": "2024-02-29T235959.000001Z"} if "put" in operation_id else {})}
    body = json.dumps({"files": [], "creator_uid": 1}).encode() if "put" in operation_id else None
    assert operation.arguments(path, MultiDict(query), body)["replica"] == "disk"
    with pytest.raises(IllegalArguments, match="'azure' is not one of aws, gcp, disk"):
        operation.arguments(path, MultiDict({**query, "replica": "azure"}), body)
