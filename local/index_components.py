"""The part of the stack that holds the index, where that is not the catalog."""

from collections.abc import Mapping

from local.component import Component, Exported
from local.plan import Plan
from local.postgresql import Server, find_programs

BACK_ENDS = ("firestore", "postgresql")
_POSTGRESQL = "postgresql"


def wants_postgresql(caller: Mapping[str, str]) -> bool:
    """Return whether the caller wants the index in PostgreSQL, and brings no server for it.

    A shell that has sourced the environment file of an earlier run names a server of ours: that is none.
    """
    dsn = caller.get("DSS_POSTGRESQL_DSN", "")
    return caller.get("DSS_INDEX") == _POSTGRESQL and dsn in ("", caller.get("DSS_LOCAL_POSTGRESQL_DSN", ""))


def needed(plan: Plan) -> tuple[str, ...]:
    """Return the names of the components that hold the index."""
    return (_POSTGRESQL,) if wants_postgresql(plan.caller) else ()


def postgresql(plan: Plan, _: Exported) -> Component | None:
    """The index: a PostgreSQL server, where the caller's DSS_INDEX asks for it and no server is named.

    Raises Missing where it is not installed, LocalFailure where it cannot reach its directory.
    """
    if not wants_postgresql(plan.caller):
        return None
    server = Server(find_programs(plan.caller), plan.data / _POSTGRESQL, plan.ports.of(_POSTGRESQL))
    return Component(
        name=_POSTGRESQL,
        command=server.command,
        ready=server.answers,
        exports={
            "DSS_INDEX": _POSTGRESQL,
            "DSS_POSTGRESQL_DSN": server.dsn,
            "DSS_LOCAL_POSTGRESQL_DSN": server.dsn,
        },
    )
