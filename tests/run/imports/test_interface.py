"""Imports are an interface of their own, which only those may use who may write."""

import json

import pytest
from openapi_spec_validator import validate

from run.api.interfaces import Interfaces
from run.imports import handlers
from run.imports.interface import interface, load_document
from shared.access import Action


def test_the_document_is_openapi() -> None:
    validate(json.loads(json.dumps(load_document())))


@pytest.mark.parametrize("secured", [(), ("all",), ("imports.get",)], ids=["none", "all", "one"])
def test_every_operation_is_for_those_who_may_write(secured: tuple[str, ...]) -> None:
    # A deployment that asks everybody to sign in must not take less than that.
    operations = [
        one for one in Interfaces.load(secured).operations if one.operation_id.startswith("imports.")
    ]

    assert len(operations) == 5
    assert {one.needs for one in operations} == {Action.CONTRIBUTE}


def test_every_operation_has_a_handler_and_says_whether_it_writes() -> None:
    writes = {one.operation_id: one.writes for one in interface().operations}

    assert all(callable(getattr(handlers, name.partition(".")[2])) for name in writes)
    assert {name for name, does in writes.items() if does} == {
        "imports.put",
        "imports.start",
        "imports.delete",
    }
