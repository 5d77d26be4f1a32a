"""What OPTIONS says of the settings: which operations need a token, and whether passports are enough."""

from types import SimpleNamespace
from typing import Any

import pytest

from run.drs.needs_token import OF_MANY, OF_ONE
from tests.support.operations import ALL_OPERATIONS


def settings(*secured: str, issuers: tuple[str, ...] = ("https://broker.example.org",)) -> Any:
    return SimpleNamespace(secured=secured, passport_issuers=issuers)


@pytest.mark.parametrize(
    ("secured", "of_one", "of_many"),
    [
        ((), (False, True), (False, True)),
        (("all",), (True, False), (True, False)),
        (("files.get", "drs.service_info"), (False, True), (False, True)),
        (("drs.get_object",), (True, True), (False, True)),
        (("drs.get_access",), (True, True), (False, True)),
        (("drs.post_access",), (True, False), (False, True)),
        (("drs.post_objects",), (False, True), (True, False)),
        (("drs.post_accesses",), (False, True), (True, False)),
    ],
)
def test_what_is_secured_needs_a_token_and_takes_no_passport_alone(
    secured: tuple[str, ...], of_one: tuple[bool, bool], of_many: tuple[bool, bool]
) -> None:
    said = settings(*secured)

    for uses, expected in ((OF_ONE, of_one), (OF_MANY, of_many)):
        assert (uses.need_token(said), uses.take_passports(said)) == expected


def test_without_issuers_no_passport_is_taken() -> None:
    assert not OF_ONE.take_passports(settings(issuers=()))


def test_the_operations_are_those_of_the_contract() -> None:
    assert OF_ONE.get | OF_ONE.post | OF_MANY.post <= ALL_OPERATIONS.keys()
