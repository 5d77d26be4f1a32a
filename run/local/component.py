"""What a part of the stack is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from run.local.plan import Plan


def nothing() -> None:
    """Set nothing up."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of the stack, usually one process.

    `ready` raises `probes.NotReady` until the component answers; `set_up` is called once after that, before
    whatever needs the component starts. Both are called from one thread, which everybody waits for: they take
    a moment, and no more. It has to answer within `seconds`. An empty `command` means: somebody else runs it.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], None]
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    set_up: Callable[[], None] = nothing
    # A machine on which a component takes longer to answer has a problem of another kind.
    seconds: float = 60.0
    exports: Mapping[str, str] = field(default_factory=dict)


Exported = Mapping[str, str]
Builder = Callable[[Plan, Exported], Component]
