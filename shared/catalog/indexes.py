"""The indexes that the catalog's queries need. No other field is in an index.

`terraform/` creates these. Tests compare both, and check every query of a running system against this table,
because the Firestore emulator enforces none of it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Index:
    """A composite index: fields with their order, `ASCENDING`, `DESCENDING` or `CONTAINS`."""

    collection: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FieldIndex:
    """The index of one field: `ASCENDING` and `DESCENDING` also serve equality, `CONTAINS` elements of lists.

    `across`: of the collections of this name under all heads at once.
    """

    collection: str
    field: str
    mode: str = "ASCENDING"
    across: bool = False


# All collections, those under documents too. None of their fields has an index of its own: one exemption a
# collection, which the fields in FIELD_INDEXES override. Writes cost less without, and Firestore takes 500 a
# second to a collection with an indexed field that grows with time.
# https://cloud.google.com/firestore/docs/query-data/indexing#add_a_collection-level_exemption
COLLECTIONS = (
    *("files", "bundles", "collections", "owned_collections", "hidden_bundles", "pages"),
    *("bundle_tombstones", "collection_tombstones", "content_removals", "purges"),
    *("access", "bindings", "binding_marks", "groups", "memberships"),
    *("events", "event_boxes", "journals", "journal_checkpoints", "changes", "last_attempts"),
    *("subscriptions", "subscription_secrets", "subscription_sets", "subscription_changes"),
    "subscription_slots",
    *("subscriber_backoffs", "deliveries", "mails"),
    *("copy_jobs", "checkout_jobs", "checkout_pages", "manifest_jobs", "admin_runs", "admin_run_shards"),
    *("imports", "import_slices", "import_shards", "import_hashes"),
    *("index_rows", "index_pieces", "operation", "progress", "sweep_positions"),
)

COMPOSITE_INDEXES = (
    # The newest version of a file on a replica.
    Index("files", (("uuid", "ASCENDING"), ("available", "CONTAINS"), ("version", "DESCENDING"))),
    # The newest version of a bundle on a replica that is not hidden.
    Index(
        "bundles",
        (
            ("uuid", "ASCENDING"),
            ("hidden", "ASCENDING"),
            ("available", "CONTAINS"),
            ("version", "DESCENDING"),
        ),
    ),
    # Whether a replica has any version of a bundle.
    Index("bundles", (("uuid", "ASCENDING"), ("available", "CONTAINS"))),
    # All bundles of a replica that are not hidden, in order.
    Index("bundles", (("hidden", "ASCENDING"), ("available", "CONTAINS"), ("fqid", "ASCENDING"))),
    # Of these, those that are bound to nobody, and those that are bound to some readers.
    Index(
        "bundles",
        (
            *(("hidden", "ASCENDING"), ("bound", "ASCENDING")),
            *(("available", "CONTAINS"), ("fqid", "ASCENDING")),
        ),
    ),
    Index("bundles", (("hidden", "ASCENDING"), ("readers", "CONTAINS"), ("fqid", "ASCENDING"))),
    # The newest version of a collection on a replica.
    Index("collections", (("uuid", "ASCENDING"), ("available", "CONTAINS"), ("version", "DESCENDING"))),
    # The collections of an owner.
    Index(
        "owned_collections",
        (
            ("owner", "ASCENDING"),
            ("visible", "ASCENDING"),
            ("hidden", "ASCENDING"),
            ("uuid", "ASCENDING"),
        ),
    ),
    # What some replicas have, and others lack: `missing` is compared as a whole.
    *(
        Index(
            collection,
            (("shard", "ASCENDING"), ("missing", "ASCENDING"), ("missing_since", "ASCENDING")),
        )
        for collection in (
            *("files", "bundles", "collections"),
            *("bundle_tombstones", "collection_tombstones", "access", "groups", "purges"),
        )
    ),
    # The subscriptions of an owner.
    Index("subscriptions", (("owner", "ASCENDING"), ("replica", "ASCENDING"))),
    # The deliveries to a subscription, newest first.
    Index("deliveries", (("subscription", "ASCENDING"), ("created", "DESCENDING"))),
    # The outbox: events that are not published on a replica yet.
    *(
        Index(
            collection,
            (
                *(("shard", "ASCENDING"), ("missing", "ASCENDING")),
                *(("unpublished", "CONTAINS"), ("missing_since", "ASCENDING")),
            ),
        )
        for collection in ("bundles", "bundle_tombstones")
    ),
    # The events of a replica, in order of time.
    Index("events", (("replica", "ASCENDING"), ("timestamp", "ASCENDING"))),
    # The journals of a replica, in order of time.
    Index("journals", (("replica", "ASCENDING"), ("to_date", "ASCENDING"))),
    # Both again, of those that a caller may see.
    Index("events", (("replica", "ASCENDING"), ("labels", "CONTAINS"), ("timestamp", "ASCENDING"))),
    Index("journals", (("replica", "ASCENDING"), ("labels", "CONTAINS"), ("to_date", "ASCENDING"))),
    # The rows with a posting, in order; array elements are indexed here only.
    Index("index_rows", (("postings", "CONTAINS"), ("fqid", "DESCENDING"))),
)

# Single fields that queries compare or order by, each with just the mode that they need. Where several are
# compared for equality, Firestore merges the indexes of each.
FIELD_INDEXES = (
    # The versions of a UUID, and all else that is about it.
    *(
        FieldIndex(collection, "uuid")
        for collection in (
            *("files", "bundles", "collections", "owned_collections", "checkout_jobs", "purges"),
            *("bindings", "memberships"),
        )
    ),
    # How many versions a replica has.
    *(FieldIndex(collection, "available", "CONTAINS") for collection in ("files", "bundles", "collections")),
    # Files in order of their content, and those with one content.
    FieldIndex("files", "sha256"),
    # The versions that a tombstone has hidden.
    FieldIndex("bundles", "hidden_by"),
    # Where a file or collection is named: the pages of all versions at once.
    FieldIndex("pages", "contains", "CONTAINS", across=True),
    FieldIndex("pages", "linked", "CONTAINS", across=True),
    # The groups of a person.
    FieldIndex("memberships", "members", "CONTAINS"),
    # What is left to do about purges.
    FieldIndex("purges", "part_of"),
    FieldIndex("purges", "open"),
    # Jobs that run, those of one person, and those for a file.
    *(
        FieldIndex(name, "state")
        for name in (
            *("copy_jobs", "checkout_jobs", "imports", "manifest_jobs"),
            *("admin_runs", "admin_run_shards"),
        )
    ),
    FieldIndex("copy_jobs", "file"),
    FieldIndex("copy_jobs", "file_uuid"),
    FieldIndex("checkout_jobs", "requester"),
    FieldIndex("checkout_jobs", "mail_due"),
    FieldIndex("imports", "email"),
    FieldIndex("manifest_jobs", "requester"),
    # The newest runs.
    FieldIndex("admin_runs", "created", "DESCENDING"),
    # The subscriptions of an owner on all replicas, and of all owners on one.
    FieldIndex("subscriptions", "owner"),
    FieldIndex("subscriptions", "replica"),
    # The changes of a replica's subscriptions since a moment.
    FieldIndex("subscription_changes", "at"),
    FieldIndex("journals", "id"),
)

# A collection, and the field that says when Firestore may remove a document.
TIMES_TO_LIVE = (
    *(("admin_runs", "expires"), ("admin_run_shards", "expires"), ("changes", "expires")),
    *(("checkout_jobs", "expires"), ("checkout_pages", "expires")),
    *((name, "expires") for name in ("imports", "import_slices", "import_shards", "import_hashes")),
    *(("copy_jobs", "expires"), ("deliveries", "expires"), ("mails", "expires")),
    ("last_attempts", "expires"),
    ("manifest_jobs", "expires"),
    ("subscriber_backoffs", "expires"),
    ("subscription_changes", "expires"),
)
