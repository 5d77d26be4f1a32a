"""The catalog of switches: document `operation/switches`, which operators set and every process reads.

It also keeps the push settings of paused subscriptions, so that `start` can give them back, and the version
of the catalog's schema, so that one read tells a process all that may keep it from writing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.catalog.database import Database


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A switch that is on: why, who turned it on, and when."""

    reason: str
    by: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class Switches:
    """The switches of a deployment; None is off.

    `read_only` refuses the writes of the API, `stopped` all work in the background. `pushes` are the push
    settings, as JSON, by the name of the subscription from which `stop` took them. `started` is when the
    system was last let go on. `schema` is the version of
    the catalog's schema, to which it is or will be migrated; older releases must not write. `migrated` is the
    version that all its documents have.
    """

    read_only: Switch | None = None
    stopped: Switch | None = None
    pushes: Mapping[str, str] = field(default_factory=dict)
    started: datetime | None = None
    schema: int = 0
    migrated: int = 0


class SwitchCatalog:
    """Reads and writes of the switches."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._document = database.client.collection("operation").document("switches")

    def get(self) -> Switches:
        """Return all switches, in one read. Raises Unavailable."""
        document = self._database.get(self._document).to_dict() or {}
        return Switches(
            read_only=_switch_of(document.get("read_only")),
            stopped=_switch_of(document.get("stopped")),
            pushes=document.get("pushes") or {},
            started=document.get("started"),
            schema=document.get("schema", 0),
            migrated=document.get("migrated", 0),
        )

    def set_read_only(self, switch: Switch | None) -> None:
        """Turn the refusal of writes on or off."""
        self._set({"read_only": _document_of(switch)})

    def stop(self, switch: Switch, pushes: Mapping[str, str]) -> None:
        """Turn work in the background off, and keep more push settings: both or neither."""

        def apply(transaction: Any) -> None:
            known = self._document.get(transaction=transaction).to_dict() or {}
            kept = {**(known.get("pushes") or {}), **pushes}
            changes = {"stopped": _document_of(switch), "pushes": kept}
            transaction.set(self._document, changes, merge=list(changes))

        self._database.transact(apply)

    def start(self, at: datetime) -> None:
        """Turn work in the background on, from a moment on. Push settings are kept until forgotten."""
        self._set({"stopped": None, "started": at})

    def forget_pushes(self) -> None:
        """Keep push settings no longer, unless the system was stopped again meanwhile."""

        def apply(transaction: Any) -> None:
            known = self._document.get(transaction=transaction).to_dict() or {}
            if not known.get("stopped"):
                transaction.set(self._document, {"pushes": {}}, merge=["pushes"])

        self._database.transact(apply)

    def set_schema(self, version: int) -> None:
        """Say that the catalog is about to be migrated to a version."""
        self._set({"schema": version})

    def set_migrated(self, version: int) -> None:
        """Say that all documents have a version."""
        self._set({"migrated": version})

    def _set(self, changes: Mapping[str, Any]) -> None:
        # Each named field is replaced as a whole, the others stay.
        fields = list(changes)
        self._database.commit(lambda batch: batch.set(self._document, dict(changes), merge=fields))


def _switch_of(document: Mapping[str, Any] | None) -> Switch | None:
    return Switch(**document) if document else None


def _document_of(switch: Switch | None) -> dict[str, Any] | None:
    return vars(switch) if switch else None
