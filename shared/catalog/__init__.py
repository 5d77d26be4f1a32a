"""The catalog: metadata in Firestore, which answers reads and decides conflicts.

Only this package knows Firestore. One document per file version, bundle version, collection version and
tombstone; the files of a bundle and the contents of a collection are in pages under its document.
"""

from shared.catalog.attempts import JobState, may_begin_again
from shared.catalog.backlog import BacklogCatalog, Measured, Queue, Queued
from shared.catalog.bindings import Binding, BindingCatalog, CurrentBinding
from shared.catalog.bundles import BundleCatalog, BundleHead, PagedFile
from shared.catalog.changes import Change, ChangeCatalog
from shared.catalog.checkouts import CheckoutCatalog, CheckoutJob, CheckoutOrder, PageProgress
from shared.catalog.collection_tombstones import CollectionTombstone, CollectionTombstoneCatalog
from shared.catalog.collections import CollectionCatalog, CollectionHead, OwnedCollection
from shared.catalog.database import Database
from shared.catalog.deliveries import (
    KEPT_ATTEMPTS,
    Attempt,
    Delivery,
    DeliveryCatalog,
    DeliveryContext,
    DeliveryState,
    SubscriberBackoff,
)
from shared.catalog.event_documents import WITHHELD, Event
from shared.catalog.events import EventCatalog
from shared.catalog.files import ContentRemoved, FileCatalog, FileRecord
from shared.catalog.groups import Group, GroupCatalog
from shared.catalog.imports import (
    ImportCatalog,
    ImportJob,
    ImportOrder,
    ImportStage,
    ListSlice,
    ShardProgress,
)
from shared.catalog.jobs import CopyJob, CopyOrder, CopySource, JobCatalog
from shared.catalog.journals import Checkpoint, Digests, Journal, JournalCatalog, JournalEntry
from shared.catalog.last_attempts import LastAttempts
from shared.catalog.mails import MailCatalog
from shared.catalog.manifests import ManifestCatalog, ManifestJob, ManifestOrder, ManifestPiece
from shared.catalog.progress import ProgressCatalog
from shared.catalog.purges import Purge, PurgeCatalog
from shared.catalog.runs import AdminRun, RunCatalog, RunShardCatalog
from shared.catalog.scan import KnownTombstone, ScanCatalog
from shared.catalog.schema import SCHEMA
from shared.catalog.subscriptions import (
    MOST_SUBSCRIPTIONS,
    Subscription,
    SubscriptionCatalog,
    SubscriptionKind,
    SubscriptionSet,
)
from shared.catalog.switches import Switch, SwitchCatalog, Switches
from shared.catalog.tombstones import BundleTombstone, TombstoneCatalog
from shared.catalog.versioned import VersionedCatalog

__all__ = [
    "KEPT_ATTEMPTS",
    "MOST_SUBSCRIPTIONS",
    "SCHEMA",
    "WITHHELD",
    "AdminRun",
    "Attempt",
    "BacklogCatalog",
    "Binding",
    "BindingCatalog",
    "BundleCatalog",
    "BundleHead",
    "BundleTombstone",
    "Catalog",
    "Change",
    "ChangeCatalog",
    "CheckoutCatalog",
    "CheckoutJob",
    "CheckoutOrder",
    "Checkpoint",
    "CollectionCatalog",
    "CollectionHead",
    "CollectionTombstone",
    "CollectionTombstoneCatalog",
    "ContentRemoved",
    "CopyJob",
    "CopyOrder",
    "CopySource",
    "CurrentBinding",
    "Database",
    "Delivery",
    "DeliveryCatalog",
    "DeliveryContext",
    "DeliveryState",
    "Digests",
    "Event",
    "EventCatalog",
    "FileCatalog",
    "FileRecord",
    "Group",
    "GroupCatalog",
    "ImportCatalog",
    "ImportJob",
    "ImportOrder",
    "ImportStage",
    "JobCatalog",
    "JobState",
    "Journal",
    "JournalCatalog",
    "JournalEntry",
    "KnownTombstone",
    "LastAttempts",
    "ListSlice",
    "MailCatalog",
    "ManifestCatalog",
    "ManifestJob",
    "ManifestOrder",
    "ManifestPiece",
    "Measured",
    "OwnedCollection",
    "PageProgress",
    "PagedFile",
    "ProgressCatalog",
    "Purge",
    "PurgeCatalog",
    "PurgeInEffect",
    "Queue",
    "Queued",
    "RunCatalog",
    "ScanCatalog",
    "ShardProgress",
    "SubscriberBackoff",
    "Subscription",
    "SubscriptionCatalog",
    "SubscriptionKind",
    "SubscriptionSet",
    "Switch",
    "SwitchCatalog",
    "Switches",
    "TombstoneCatalog",
    "VersionedCatalog",
    "may_begin_again",
]


class Catalog:
    """All parts of the catalog, over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bindings = BindingCatalog(database)
        self.purges = PurgeCatalog(database)
        self.groups = GroupCatalog(database)
        self.files = FileCatalog(database)
        self.bundles = BundleCatalog(database)
        self.tombstones = TombstoneCatalog(database)
        self.collections = CollectionCatalog(database)
        self.collection_tombstones = CollectionTombstoneCatalog(database)
        self.changes = ChangeCatalog(database)
        self.backlog = BacklogCatalog(database)
        self.events = EventCatalog(database)
        self.last_attempts = LastAttempts(database)
        self.journals = JournalCatalog(database)
        self.progress = ProgressCatalog(database)
        self.jobs = JobCatalog(database)
        self.deliveries = DeliveryCatalog(database)
        self.subscriptions = SubscriptionCatalog(database)
        self.checkouts = CheckoutCatalog(database)
        self.mails = MailCatalog(database)
        self.imports = ImportCatalog(database)
        self.manifests = ManifestCatalog(database)
        self.runs = RunCatalog(database)
        self.run_shards = RunShardCatalog(database)
        self.switches = SwitchCatalog(database)
        self.scan = ScanCatalog(database)
