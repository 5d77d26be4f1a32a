"""The composite indexes that the catalog's queries need, and the fields that are kept out of indexes.

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
class GroupList:
    """A field of the collections of one name under all heads, indexed for its elements across them."""

    collection: str
    field: str


@dataclass(frozen=True)
class Exemption:
    """A field of a collection that has no single-field index."""

    collection: str
    field: str


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

# Firestore takes at most 500 writes a second to a collection with an indexed field that grows with time, so
# versions and times have no index of their own. No query uses the other fields; writes cost less without.
_GROWING = ("version", "created", "missing_since", "trace", "shard")
_NEVER_QUERIED = {
    "files": (
        *("creator_uid", "content_type", "size", "sha1", "s3_etag", "crc32c", "missing", "left_alone"),
        *("readers", "bound", "bound_at", "purged", "withheld"),
    ),
    "bundles": (
        *("creator_uid", "file_count", "digest", "missing", "unpublished", "hidden_on", "left_alone"),
        *("bound_at", "content_readers", "purged", "withheld", "lacks_files", "total"),
    ),
    "access": (
        "readers",
        "owner_group",
        "with_files",
        "with_bundle",
        "by",
        "missing",
        "available",
        "left_alone",
    ),
    "purges": (*("of", "reason", "by", "due", "undone", "scrubbed", "missing", "available", "left_alone"),),
    "groups": ("name", "members", "by", "missing", "available", "left_alone"),
    "collections": (
        *("owner", "item_count", "page_count", "digest", "missing", "left_alone", "purged", "withheld"),
        "total",
    ),
    "collection_tombstones": ("email", "owner", "missing", "available", "uuid", "left_alone"),
    "bundle_tombstones": ("email", "reason", "missing", "available", "uuid", "unpublished", "left_alone"),
}
EXEMPTIONS = (
    *(
        Exemption(collection, field)
        for collection, unasked in _NEVER_QUERIED.items()
        for field in (*_GROWING, *unasked)
    ),
    *(
        Exemption("copy_jobs", field)
        for field in (
            *("created", "touched", "expires", "source", "checksums", "replica", "bucket", "key"),
            *("creator_uid", "last_used", "attempt", "execution", "upload_id", "token", "code", "cause"),
            *("checkout_of", "trace"),
        )
    ),
    *(
        Exemption("subscriptions", field)
        for field in ("created", "definition", "slot", "groups", "signed_in", "last_pause")
    ),
    Exemption("subscription_slots", "subscription"),
    Exemption("subscription_secrets", "secret"),
    *(Exemption("subscriber_backoffs", field) for field in ("since", "failures", "next_try", "expires")),
    *(
        Exemption("deliveries", field)
        for field in (
            *("created", "event_id", "event_type", "bundle_uuid", "bundle_version", "state", "attempts"),
            *("replay", "last_attempt", "status", "reason", "seconds", "next_try", "history", "expires"),
        )
    ),
    *(
        Exemption("events", field)
        for field in (
            *("timestamp", "version", "type", "size", "digest", "md5", "crc32c", "replica", "uuid"),
            "withheld_from",
            "labels",
        )
    ),
    *(Exemption("journal_checkpoints", field) for field in ("last", "crowd", "compacted", "claimed", "held")),
    Exemption("event_boxes", "waiting"),
    *(
        Exemption("journals", field)
        for field in (
            *("replica", "key", "from_date", "to_date", "size", "entries", "crc32c", "index"),
            *("labels", "bound"),
        )
    ),
    *(
        Exemption("checkout_jobs", field)
        for field in (
            *("created", "touched", "expires", "kind", "fqid", "replica", "bucket", "attempt", "execution"),
            *("files", "bytes", "pages", "location", "emails", "resumed", "code", "cause"),
            *("readers", "asked", "bound", "bound_at", "purged", "trace"),
        )
    ),
    *(Exemption("checkout_pages", field) for field in ("position", "files", "bytes", "waiting", "expires")),
    *(
        Exemption("imports", field)
        for field in (
            *("order", "stage", "begun", "resumed", "slices", "cursor", "listed", "shards", "checked"),
            *("doubled", "counts", "attempt", "execution", "code", "cause", "created", "touched", "expires"),
            "trace",
        )
    ),
    *(Exemption("import_slices", field) for field in ("offsets", "expires")),
    *(
        Exemption("import_shards", field)
        for field in ("position", "bundles", "over", "waiting", "counts", "parts", "expires")
    ),
    *(Exemption("import_hashes", field) for field in ("hashed", "uploads", "expires")),
    *(Exemption("mails", field) for field in ("messages", "expires")),
    *(
        Exemption("manifest_jobs", field)
        for field in (
            *("attempt", "base_url", "catalogue", "cause", "code", "created", "cursor", "execution"),
            *("expires", "file_count", "files_done", "format", "key", "labels", "memory", "name"),
            *("order_key", "over", "pieces", "resumed", "secret", "selection", "touched", "trace"),
        )
    ),
    *(Exemption("changes", field) for field in ("successor", "began", "expires")),
    *(
        Exemption("admin_runs", field)
        for field in (
            *("kind", "options", "attempt", "execution", "cursor", "over", "parts", "counts"),
            *("result", "code", "cause", "touched", "expires"),
        )
    ),
    *(
        Exemption("index_rows", field)
        for field in (
            *("fqid", "labels", "postings", "partial", "dead", "digest", "form", "size", "data", "pieces"),
        )
    ),
    Exemption("index_pieces", "data"),
    Exemption("pages", "files"),
    Exemption("pages", "lines"),
    *(
        Exemption("owned_collections", field)
        for field in ("newest", "readers", "bound", "bound_at", "purged")
    ),
    *(
        Exemption("bindings", field)
        for field in (
            "version",
            "claimed",
            "readers",
            "owner_group",
            "with_files",
            "with_bundle",
            "by",
            "purges",
        )
    ),
    Exemption("content_removals", "done"),
    *(Exemption("last_attempts", field) for field in ("began", "expires")),
    Exemption("binding_marks", "changed"),
    *(Exemption("memberships", field) for field in ("version", "claimed", "name", "by")),
    Exemption("hidden_bundles", "email"),
)

# Lists that are queried below all heads at once: the collections under them, and the field.
GROUP_LISTS = (GroupList("pages", "contains"), GroupList("pages", "linked"))

# A collection, and the field that says when Firestore may remove a document.
TIMES_TO_LIVE = (
    *(("admin_runs", "expires"), ("changes", "expires")),
    *(("checkout_jobs", "expires"), ("checkout_pages", "expires")),
    *((name, "expires") for name in ("imports", "import_slices", "import_shards", "import_hashes")),
    *(("copy_jobs", "expires"), ("deliveries", "expires"), ("mails", "expires")),
    ("last_attempts", "expires"),
    ("manifest_jobs", "expires"),
    ("subscriber_backoffs", "expires"),
)
