"""The document that the service serves is a valid contract, and has the operations of the standard."""

import json

import pytest
from openapi_spec_validator import validate

from run.api.interfaces import Interfaces
from run.drs.document import DRS_PATH, load_document
from tests.support.api import Api
from tests.support.drs import documents

# The standard, by heart: its document is not everywhere.
OPERATIONS = {
    ("get", "/service-info"),
    *((method, "/objects/{object_id}") for method in ("get", "post", "options")),
    *((method, "/objects") for method in ("post", "options")),
    *((method, "/objects/{object_id}/access/{access_id}") for method in ("get", "post")),
    ("post", "/objects/access"),
}


def test_the_document_is_valid() -> None:
    # As it is sent: without what YAML shares.
    validate(json.loads(json.dumps(load_document())))


def test_the_document_has_the_operations_of_the_standard() -> None:
    for document in documents():
        assert {
            (method, path) for path, methods in document["paths"].items() for method in methods
        } == OPERATIONS


def test_answers_are_held_against_the_document_of_the_standard_too() -> None:
    if len(documents()) == 1:
        pytest.skip("../shared/data/drs-1.5-openapi.yaml is absent: our document alone counts")
    assert documents()[1]["info"]["title"] == "Data Repository Service"


def test_every_operation_is_served_and_none_writes() -> None:
    [drs] = [interface for interface in Interfaces.load() if interface.area == "drs"]

    assert {(operation.method.lower(), operation.path) for operation in drs.operations} == OPERATIONS
    assert not any(operation.writes for operation in drs.operations)


def test_the_document_is_served(anyone: Api) -> None:
    answer = anyone.get(f"{DRS_PATH}/openapi.json")

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == load_document()
