"""What every part of the system is handed: replicas, catalog, index, publisher, clock, settings, faults."""

from dataclasses import dataclass, field
from functools import cached_property

from shared.access import BucketPolicy, Policy
from shared.access.audit_log import AuditLog
from shared.catalog import Catalog
from shared.clock import Clock
from shared.config import Settings
from shared.explore.base import CatalogueStore, NoCatalogues
from shared.faults import FaultPoints
from shared.messages import Publisher
from shared.replicas import Replicas
from shared.search.base import IndexBackend
from shared.switches import LiveSwitches
from shared.tracing import Tracer
from shared.workflows import Workflows


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
