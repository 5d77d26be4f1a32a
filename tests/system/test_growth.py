"""What must not depend on how much there is: calls cost the same with ten of everything and hundreds."""

from collections.abc import Iterator

import pytest

from tests.support.growth import Grown, grown

FEW, MANY = 10, 200


@pytest.fixture(scope="module")
def system(stack: dict[str, str]) -> Iterator[Grown]:
    with grown(stack) as system:
        yield system


def test_no_call_costs_more_when_there_is_more(system: Grown) -> None:
    system.fill(FEW)
    few = {call.name: bill for call, bill in system.costs()}
    system.fill(MANY)
    many = {call.name: bill for call, bill in system.costs()}

    assert len(few) > 20
    assert {name: (bill, many[name]) for name, bill in few.items() if bill != many[name]} == {}
