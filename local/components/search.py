"""The index of POST /search: in a PostgreSQL server, or in Firestore."""

import json
from collections.abc import Mapping
from functools import partial

from local.components.base import Component, Exported
from local.config import StackConfig
from local.servers.postgresql import Server, find_programs, takes_connections

_POSTGRESQL = "postgresql"
# The catalogue of bundles with the HCA's metadata.
CATALOGUES = json.dumps([{"name": "hca", "plugin": "hca"}])
# The first is the one of a caller who names none.
BACK_ENDS = (_POSTGRESQL, "firestore")
# Seconds. A server that the caller named has to be there already.
_FOREIGN_SECONDS = 10.0


def needed(config: StackConfig) -> tuple[str, ...]:
    """Return the names of the components that hold the index."""
    return (_POSTGRESQL,) if _is_in_postgresql(config.caller) else ()


def postgresql(config: StackConfig, _: Exported) -> Component | None:
    """The index: the PostgreSQL server that the caller's DSS_POSTGRESQL_DSN names, or else one of ours.

    None if the caller's DSS_INDEX names another back end. Raises MissingRequirements if there are no programs
    of a server, LocalError if it cannot reach its directory.
    """
    if not _is_in_postgresql(config.caller):
        return None
    named = _foreign_dsn(config.caller)
    exports = {
        "DSS_INDEX": _POSTGRESQL,
        "DSS_CATALOGUES": config.caller.get("DSS_CATALOGUES") or CATALOGUES,
    }
    if named:
        return Component(
            name=_POSTGRESQL,
            command=(),
            ready=partial(takes_connections, named),
            seconds=_FOREIGN_SECONDS,
            exports={**exports, "DSS_POSTGRESQL_DSN": named},
        )
    server = Server(find_programs(config.caller), config.data / _POSTGRESQL, config.ports.of(_POSTGRESQL))
    return Component(
        name=_POSTGRESQL,
        command=server.command,
        ready=partial(takes_connections, server.dsn),
        exports={**exports, "DSS_POSTGRESQL_DSN": server.dsn, "DSS_LOCAL_POSTGRESQL_DSN": server.dsn},
    )


def _is_in_postgresql(caller: Mapping[str, str]) -> bool:
    return (caller.get("DSS_INDEX") or BACK_ENDS[0]) == _POSTGRESQL


def _foreign_dsn(caller: Mapping[str, str]) -> str:
    """Return the DSN of the server that the caller names, or "".

    A shell that sourced the environment file of an earlier run names that run's server: it doesn't count.
    """
    dsn = caller.get("DSS_POSTGRESQL_DSN", "")
    return "" if dsn == caller.get("DSS_LOCAL_POSTGRESQL_DSN") else dsn
