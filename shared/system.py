"""What every part of the system is handed: replicas, catalog, index, publisher, clock, settings, faults."""

from dataclasses import dataclass, field
from functools import cached_property

from shared.access import BucketPolicy, Policy
from shared.access.audit_log import AuditLog
from shared.catalog import Catalog
from shared.checksums import MIB
from shared.clock import Clock
from shared.config import Settings
from shared.explore.base import CatalogueStore, NoCatalogues
from shared.faults import FaultPoints
from shared.memory_budget import MemoryBudget
from shared.messages import Publisher
from shared.replicas import Replicas
from shared.search.base import IndexBackend
from shared.switches import LiveSwitches
from shared.tracing import Tracer
from shared.workflows import Workflows

# What one process holds of objects that it copies for events; terraform/functions.tf gives it twice that.
COPY_MEMORY_BYTES = 512 * MIB
# Seconds. Most copies take less, and Pub/Sub pushes less to a function that often answers 429.
_COPY_PATIENCE = 20.0


@dataclass(frozen=True, kw_only=True)
class Dss:
    """The dependencies of a process; `shared.wiring` makes the real ones, tests may make others."""

    settings: Settings
    replicas: Replicas
    catalog: Catalog
    index: IndexBackend
    publisher: Publisher
    workflows: Workflows
    clock: Clock
    faults: FaultPoints
    catalogues: CatalogueStore = field(default_factory=NoCatalogues)
    tracer: Tracer = field(default_factory=Tracer)

    @cached_property
    def policy(self) -> Policy:
        """Who may do what, by the settings."""
        return Policy.of(self.settings)

    @cached_property
    def audit_log(self) -> AuditLog:
        """Where the audit log goes, by the settings."""
        return AuditLog.of(self.settings)

    @cached_property
    def switches(self) -> LiveSwitches:
        """What operators have switched off."""
        return LiveSwitches(self.catalog.switches, read_only_mode=self.settings.read_only_mode)

    @cached_property
    def bucket_policy(self) -> BucketPolicy:
        """Who may take sources from which buckets, and check out into which, by the settings."""
        return BucketPolicy.of(self.settings)

    @cached_property
    def arriving(self) -> set[tuple[str, str]]:
        """The replicas and keys of objects that this process is replicating, from the write to the commit."""
        return set()

    @cached_property
    def copy_memory(self) -> MemoryBudget:
        """The memory for objects that events bring from one cloud to another."""
        return MemoryBudget(COPY_MEMORY_BYTES, patience=_COPY_PATIENCE)
