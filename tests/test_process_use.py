"""`make quick` runs the tests that start no process: those that `ProcessUse` says so of."""

import functools
import subprocess
import sys

import pytest

from local.supervisor import processes
from tests.support.process_use import ProcessUse
from tests.support.schedule import never_quick


def starts_one():
    subprocess.run([sys.executable, "-c", ""], check=True)


class Starter:
    @property
    def started(self):
        return starts_one()


def inherits():
    class Child(Starter):
        pass

    return Child


def imports_when_called():
    import subprocess as other

    return other


def calls(function):
    @functools.wraps(function)
    def call():
        return function()

    return call


def of_a_module():
    return processes.Processes()


def asks_by_name(request):
    return request.getfixturevalue("stack")


def starts_none():
    return sum(map(abs, [1, 2]))


def recursive():
    return recursive() or starts_none()


@pytest.fixture
def process():
    return starts_one()


@pytest.fixture
def uses_a_process(process):
    return process


def test_needs_a_fixture_of_a_fixture(uses_a_process):
    assert uses_a_process is None


def test_needs_nothing():
    assert starts_none() == 3


@pytest.mark.parametrize(
    "function",
    [starts_one, Starter, inherits(), imports_when_called, calls(starts_one), of_a_module, asks_by_name],
)
def test_what_refers_to_processes_at_any_depth_starts_them(function):
    assert ProcessUse().by(function)


@pytest.mark.parametrize("function", [starts_none, recursive, calls(starts_none), print, None])
def test_what_does_not_starts_none(function):
    assert not ProcessUse().by(function)


def test_the_fixtures_of_a_test_count(request):
    use = ProcessUse()
    tests = {item.name: use.of(item) for item in request.node.parent.collect()}

    assert tests["test_needs_a_fixture_of_a_fixture"]
    assert not tests["test_needs_nothing"]


def test_what_quick_does_not_open_has_nothing_for_it(request):
    """Of all tests that are collected beside this one."""
    use = ProcessUse()
    quick = {item.nodeid.partition("::")[0] for item in request.session.items if not use.of(item)}

    assert not quick & never_quick(), "pytest --record-seconds --collect-only -n 0 writes the list anew"


def test_tests_are_known_as_code_of_this_project(request):
    """An `__init__.py` beside tests gives their modules a name that does not begin with `tests`."""
    modules = {item.module.__name__ for item in request.session.items if isinstance(item, pytest.Function)}

    assert {name for name in modules if not name.startswith("tests.")} == set()


def test_an_unforeseen_process_is_refused():
    code = (
        "from tests.support.process_use import refuse_processes; import os; refuse_processes()\n"
        "try: os.system('true')\n"
        "except RuntimeError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "refused\n"
