"""Who may do what is decided in `shared/access` alone, and every door asks it."""

import pytest

from run.api.interfaces import Interfaces
from tests.support.decisions import ASKS_NOTHING, OTHER_DOORS, ROOT, Program, decides_itself
from tests.support.operations import ALL_OPERATIONS

# Where the handlers of other interfaces are.
PACKAGES = {interface.area: interface.handlers.__name__ for interface in Interfaces.load()}
# Modules that ask who somebody is for another reason.
NO_QUESTION_OF_ACCESS = {
    "run/api/issuers.py": "which groups a service account may claim that signs its own token",
    "run/api/limits.py": "an admin's requests are not counted",
    "shared/groups.py": "whether the groups of somebody make a difference",
    "shared/webhooks/owners.py": "whether it is the owner who has just signed in, and with other groups",
}


@pytest.fixture(scope="module")
def program() -> Program:
    packages = ("account", "api", "browse", "drs", "explore", "imports")
    return Program.of(*(f"run/{name}" for name in packages), "shared")


@pytest.mark.parametrize("operation", ALL_OPERATIONS)
def test_every_operation_asks_for_a_decision(program: Program, operation: str) -> None:
    area, _, name = operation.partition(".")
    handler = f"{PACKAGES.get(area, f'run.api.{area}')}.{name}"

    assert program.asks(handler) is (operation not in ASKS_NOTHING)


@pytest.mark.parametrize("door", OTHER_DOORS)
def test_what_hands_out_data_in_the_background_asks_for_a_decision(program: Program, door: str) -> None:
    assert program.asks(door)


def test_a_handler_that_asks_nothing_is_noticed() -> None:
    program = Program()
    program.add(
        "shared.things",
        """
from shared.access import Resource
class Content:
    def __init__(self, dss, head): self._check(head)
    def _check(self, head): Resource(readers=head.readers).is_managed
def find(dss, uuid, finds): return finds(dss.catalog.things.get(uuid))
def lose(dss, uuid): return dss.catalog.things.get(uuid)
""",
    )
    program.add(
        "run.api.things",
        """
from shared.things import Content, find, lose
def get(call, *, uuid): return _shown(find(call.dss, uuid, call.finds))
def put(call, *, uuid): return _made(call)
def head(call, *, uuid): return _shown(lose(call.dss, uuid))
def copy(call, *, uuid): return Content(call.dss, lose(call.dss, uuid))
def _made(call): call.dss.policy.decide(call.caller)
def _shown(call): return call.answer
""",
    )

    asking = {name for name in ("get", "put", "head", "copy") if program.asks(f"run.api.things.{name}")}

    assert asking == {"get", "put", "copy"}


def test_nothing_else_decides() -> None:
    deciding = {
        str(path.relative_to(ROOT)): lines
        for folder in ("shared", "run", "functions")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.is_relative_to(ROOT / "shared" / "access") and (lines := decides_itself(path.read_text()))
    }
    assert set(deciding) == set(NO_QUESTION_OF_ACCESS), deciding


@pytest.mark.parametrize(
    ("source", "decides"),
    [
        ("if caller.is_admin: pass", True),
        ("subscription.owner == call.signed_in.email", True),
        ("owner not in (None, caller.email)", True),
        ("'dss' in who.groups", True),
        ("who.groups.isdisjoint(writers)", True),
        ("writers.isdisjoint(who.groups)", True),
        ("who.groups & writers", True),
        ("owned.owner != head.owner", False),
        ("match.groups()", False),
        ("replace(who, groups=who.groups | more)", False),
        ("call.finds(Resource(name='', owner=subscription.owner))", False),
    ],
)
def test_a_comparison_of_who_somebody_is_is_noticed(source: str, decides: bool) -> None:
    assert bool(decides_itself(source)) is decides
