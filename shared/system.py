"""What every part of the system is handed: replicas, catalog, clock, settings, fault points."""

from dataclasses import dataclass

from shared.catalog import Catalog
from shared.clock import Clock
from shared.config import Settings
from shared.faults import FaultPoints
from shared.replicas import Replicas


@dataclass(frozen=True, kw_only=True)
class Dss:
    """The dependencies of a process; `shared.wiring` makes the real ones, tests may make others."""

    settings: Settings
    replicas: Replicas
    catalog: Catalog
    clock: Clock
    faults: FaultPoints
