"""What a part of the stack is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.config import StackConfig


def nothing() -> None:
    """Set nothing up."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One part of the stack, usually one process.

    `ready` raises `probes.NotReady` until the component answers; `set_up` is called once after that, before
    whatever needs the component starts. Both are called from one thread, which everybody waits for: they take
    a moment, and no more. It has to answer within `seconds`. An empty `command` means: somebody else runs it.
    `needs` are ready before it starts; `uses` before it is asked whether it is ready, which suits what takes
    long to start, and asks nobody for anything before it is asked itself.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], None]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    set_up: Callable[[], None] = nothing
    # A machine on which a component takes longer to answer has a problem of another kind.
    seconds: float = 60.0
    exports: Mapping[str, str] = field(default_factory=dict)


Exported = Mapping[str, str]
# None: the caller does not want it.
Builder = Callable[[StackConfig, Exported], Component | None]
