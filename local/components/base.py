"""A part of the stack."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.config import StackConfig


def nothing() -> None:
    """Do nothing: most components need no set-up."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of the stack, usually one process; an empty `command` means that another program runs it.

    `ready` raises `probes.NotReady` until the component answers; `set_up` is called once after that, before
    the components that need this one start. Both are called from the one thread that starts everything, so
    they have to be quick. The component has to be ready within `seconds`, or the stack's patience if None.
    `needs` are ready before it starts. `uses` are ready before `ready` is called: for a component that takes
    long to start, and calls its dependencies only when it is called itself.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], None]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    set_up: Callable[[], None] = nothing
    seconds: float | None = None
    exports: Mapping[str, str] = field(default_factory=dict)


Exported = Mapping[str, str]
# Returns None for a component that the caller doesn't want.
Builder = Callable[[StackConfig, Exported], Component | None]
