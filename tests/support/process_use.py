"""Find out which tests start processes, from the code that they and their fixtures use.

A test needs a running system if its function, one of its fixtures, or anything of this project that these
refer to by name, at any depth, refers to `subprocess`, or to `get_context` of `multiprocessing`. For example:
`test_x(stack)` -> fixture `stack` -> `Stack` -> `Processes` -> `subprocess.Popen`. Fixtures that ask for
others by name at run time count as well.
"""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from types import CodeType, ModuleType
from typing import Any

import pytest

_STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
_PROJECT = (
    *("tests", "local", "shared", "run", "functions", "terraform"),
    *("dss", "gcs_server", "workflows_server"),
)


class ProcessUse:
    """Answers for the tests of one session, and remembers what it has looked at."""

    def __init__(self) -> None:
        self._known: dict[int, bool] = {}
        # Keeps what is known alive, or another object could get its id.
        self._objects: list[Any] = []

    def of(self, item: pytest.Item) -> bool:
        """Return whether a test or one of its fixtures starts processes."""
        if not isinstance(item, pytest.Function):
            return False
        fixtures = item._fixtureinfo.name2fixturedefs.values()
        functions = [item.function, *(fixture.func for group in fixtures for fixture in group)]
        return any(map(self.by, functions))

    def by(self, value: Any) -> bool:
        """Return whether a function or class starts processes."""
        if value is subprocess:
            return True
        if not _is_code_of_ours(value):
            return False
        if id(value) not in self._known:
            # While this is being looked at, a reference back to it adds nothing.
            self._known[id(value)] = False
            self._objects.append(value)
            self._known[id(value)] = any(map(self.by, _references(value)))
        return self._known[id(value)]


def refuse_processes() -> None:
    """From now on raise RuntimeError if this process starts another: what `--quick` selects never does."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _STARTS and not _is_asked_by_the_standard_library():
        raise RuntimeError(
            f"a quick test starts a process, which {__name__} did not see: {event} {arguments[:1]}"
        )


def _is_asked_by_the_standard_library() -> bool:
    """Return whether these modules start the process: they ask `uname` and `ldconfig`, once."""
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if frame.f_globals.get("__name__") in ("platform", "ctypes.util"):
            return True
    return False


def _is_code_of_ours(value: Any) -> bool:
    if isinstance(value, partial | staticmethod | classmethod | property):
        return True
    module = getattr(value, "__module__", None) or ""
    return (inspect.isfunction(value) or inspect.isclass(value)) and module.split(".")[0] in _PROJECT


def _references(value: Any) -> Iterator[Any]:
    """Yield what a function or class refers to: globals, attributes of modules, closures, members, bases."""
    if isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, property):
        yield value.fget
    elif isinstance(value, staticmethod | classmethod):
        yield value.__func__
    elif inspect.isclass(value):
        yield from (*vars(value).values(), *value.__bases__)
    else:
        function = inspect.unwrap(value)
        yield from (cell.cell_contents for cell in function.__closure__ or ())
        names = set(_names(function.__code__))
        if names & {"subprocess", "get_context", "getfixturevalue"}:
            yield subprocess
        found = [function.__globals__[name] for name in names if name in function.__globals__]
        for one in found:
            yield one
            if isinstance(one, ModuleType) and one.__name__.split(".")[0] in _PROJECT:
                yield from (getattr(one, name) for name in names if hasattr(one, name))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
