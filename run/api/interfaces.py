"""Interfaces beside v1: other APIs that the same application serves, each in a package of its own.

An interface has operations, which are routed, limited, signed in and audited as those of the contract, and
its own form of errors. Without its row in `INTERFACES`, and its package, the rest works as before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from types import ModuleType

from flask import Flask, Response

from run.api.contract import ALL, Operation
from run.api.service import WITHOUT_BACK_END
from run.api.wsgi import Environ
from shared.access import Action
from shared.api_path import API_PATH
from shared.config import Settings
from shared.system import Dss

# The key of an application's interfaces in its `extensions`.
INTERFACES_KEY = "dss.interfaces"
# Functions that return an `Interface`, in the syntax of entry points.
INTERFACES: Sequence[str] = (
    "run.drs.interface:interface",
    "run.explore.interface:interface",
    "run.imports.interface:interface",
    "run.browse.interface:interface",
    "run.account.interface:interface",
)
_PROBLEM = "application/problem+json"


@dataclass(frozen=True, kw_only=True)
class Interface:
    """An API beside v1.

    `area` is the first word of the ids of its operations, and `handlers` has a function for each. All paths
    that begin with one of `paths` are its own. `open_to_all` are the operations that need no sign-in in any
    deployment, and `without_back_end` the paths of answers that need no back end. `form` turns a problem
    into an error of its own form; `install` adds the routes that are no operations. `front` is the page that
    people are led to from the root of the host, if it has one. `authorize` adds the header `Authorization` to
    a request at one of its paths that brings a token in another way.
    """

    area: str
    handlers: ModuleType
    operations: tuple[Operation, ...]
    paths: tuple[str, ...]
    open_to_all: frozenset[str]
    without_back_end: frozenset[str]
    form: Callable[[str, Response], None]
    install: Callable[[Flask, Dss], None]
    front: str = ""
    authorize: Callable[[Environ, Settings], None] | None = None

    def secured(self, names: Sequence[str]) -> "Interface":
        """Return this interface with sign-in for the operations of these names, or for `all`."""
        chosen = {
            operation.operation_id
            for operation in self.operations
            if operation.needs is None
            and (operation.operation_id in names or (ALL in names and not self.is_open(operation)))
        }
        return replace(
            self,
            operations=tuple(
                replace(operation, needs=Action.CALL) if operation.operation_id in chosen else operation
                for operation in self.operations
            ),
        )

    def is_open(self, operation: Operation) -> bool:
        """Return whether an operation needs no sign-in in any deployment."""
        return operation.operation_id in self.open_to_all


class Interfaces:
    """The interfaces of an application, and v1: whose a path is."""

    def __init__(self, *interfaces: Interface) -> None:
        self._interfaces = interfaces
        self._paths = (API_PATH, *(path for one in interfaces for path in one.paths))
        self._without_back_end = {*WITHOUT_BACK_END}.union(*(one.without_back_end for one in interfaces))

    @classmethod
    def load(cls, secured: Sequence[str] = ()) -> "Interfaces":
        """Return all interfaces; operations that `secured` names, or `all`, need sign-in."""
        loaded = (EntryPoint("", text, "").load()() for text in INTERFACES)
        return cls(*(interface.secured(secured) for interface in loaded))

    def __iter__(self) -> Iterator[Interface]:
        return iter(self._interfaces)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations of all interfaces beside v1."""
        return tuple(operation for interface in self._interfaces for operation in interface.operations)

    @property
    def front(self) -> str:
        """The page that people are led to from the root of the host; empty if no interface has one."""
        return next((one.front for one in self._interfaces if one.front), "")

    def authorize(self, environ: Environ, settings: Settings) -> None:
        """Add the header `Authorization` to a request that brings a token as its interface allows."""
        for interface in self._interfaces:
            if interface.authorize and environ["PATH_INFO"].startswith(interface.paths):
                interface.authorize(environ, settings)

    def has_operations(self, path: str) -> bool:
        """Return whether a path is one of v1 or another interface."""
        return path.startswith(self._paths)

    def needs_no_back_end(self, path: str) -> bool:
        """Return whether what is at a path is answered without a back end."""
        return path in self._without_back_end

    def form(self, path: str, response: Response) -> Response:
        """Return an answer; a problem at a path of another interface than v1 has its form of errors."""
        if response.mimetype == _PROBLEM:
            for interface in self._interfaces:
                if path.startswith(interface.paths):
                    interface.form(path, response)
        return response
