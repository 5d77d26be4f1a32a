"""The index of POST /search, if it is not in Firestore."""

from collections.abc import Mapping

from local.components.base import Component, Exported
from local.config import StackConfig
from local.servers.postgresql import Server, find_programs

BACK_ENDS = ("firestore", "postgresql")
_POSTGRESQL = "postgresql"


def wants_postgresql(caller: Mapping[str, str]) -> bool:
    """Return whether the caller wants the index in PostgreSQL, and names no server for it.

    A shell that sourced the environment file of an earlier run names that run's server: it doesn't count.
    """
    dsn = caller.get("DSS_POSTGRESQL_DSN", "")
    return caller.get("DSS_INDEX") == _POSTGRESQL and dsn in ("", caller.get("DSS_LOCAL_POSTGRESQL_DSN", ""))


def needed(config: StackConfig) -> tuple[str, ...]:
    """Return the names of the components that hold the index."""
    return (_POSTGRESQL,) if wants_postgresql(config.caller) else ()


def postgresql(config: StackConfig, _: Exported) -> Component | None:
    """The index: a PostgreSQL server, if the caller's DSS_INDEX asks for it and no server is named.

    Raises MissingRequirements if it is not installed, LocalError if it cannot reach its directory.
    """
    if not wants_postgresql(config.caller):
        return None
    server = Server(find_programs(config.caller), config.data / _POSTGRESQL, config.ports.of(_POSTGRESQL))
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
