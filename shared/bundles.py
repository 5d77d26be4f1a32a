"""Bundles: check the files of a new version, and make the version or a tombstone take effect."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.bindings import bind_content, settled_binding
from shared.catalog import Binding, BundleHead, BundleTombstone, CurrentBinding, FileRecord, PagedFile
from shared.changes import claim_change, following_versions, require_newest
from shared.errors import BundleAlreadyExists, DuplicateFilename, FileMissing
from shared.identifiers import Fqid, Kind, manifest_key, tombstone_key
from shared.manifests import bundle_head, bundle_manifest, encode, tombstone_document, write_once
from shared.purged_files import purged_files
from shared.replication_wait import listed, wait_for
from shared.system import Dss


@dataclass(frozen=True)
class FoundFiles:
    """Files as a manifest describes them, in order of name; `unbound`: none is bound to readers."""

    files: list[PagedFile]
    unbound: bool


@dataclass(frozen=True)
class NamedFile:
    """A file version, and its name in a bundle."""

    name: str
    fqid: Fqid
    indexed: bool

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "NamedFile":
        """Return the file of an item of a request whose body has been checked."""
        return cls(item["name"], Fqid(item["uuid"], item["version"]), item["indexed"])


def check_names(names: Iterable[str]) -> None:
    """Raise DuplicateFilename if a name occurs twice, or is a directory of another: `a` and `a/b`."""
    counted = Counter(names)
    for name, count in counted.items():
        if count > 1:
            raise DuplicateFilename(f"files: the name {name!r} occurs {count} times")
        step = name.rfind("/")
        while step >= 0:
            if name[:step] in counted:
                raise DuplicateFilename(f"files: {name[:step]!r} is a file and a directory of {name!r}")
            step = name.rfind("/", 0, step)


def find_files(
    dss: Dss, replica: str, files: Sequence[NamedFile], may_read: Callable[[frozenset[str]], bool]
) -> FoundFiles:
    """Return the files as a manifest describes them.

    Those with readers for which `may_read` returns False are taken as if they existed nowhere.
    Waits for files that are on another replica only, or are being verified. Raises FileMissing, which names
    them, for files that exist nowhere (at once) or did not arrive in time.
    """
    records: dict[Fqid, FileRecord] = {}

    def available(fqids: Collection[Fqid]) -> dict[Fqid, frozenset[str]]:
        found = dss.catalog.files.get_many(fqids)
        records.update({fqid: record for fqid, record in found.items() if may_read(record.readers)})
        return {fqid: records[fqid].available for fqid in fqids if fqid in records}

    def missing(fqids: Collection[Fqid], why: str) -> FileMissing:
        if purged := purged_files(dss, fqids, records, may_read):
            file, reason = min(purged.items())
            return FileMissing(f"files: {file} was removed for good: {reason}")
        return FileMissing(f"files: {listed(fqids)}: {why or 'no such file'}")

    wait_for(dss, replica, {file.fqid for file in files}, available, missing, dss.catalog.jobs.are_under_way)
    found = sorted(
        (paged_file(file, records[file.fqid]) for file in files), key=lambda file: file.name.encode("utf-8")
    )
    return FoundFiles(found, not any(records[file.fqid].readers for file in files))


def write_bundle(
    dss: Dss,
    replica: str,
    fqid: Fqid,
    creator_uid: int,
    files: Sequence[PagedFile],
    *,
    binding: CurrentBinding | None,
    unbound_at: str | None = None,
    claim: Binding | None = None,
    replaces: Fqid | None = None,
) -> tuple[dict[str, Any], bool]:
    """Create a bundle version from files that are on the replica; it is readable there when this returns.

    `binding` is that of the UUID by which it was decided that its writer may write it, and `claim` is one
    that gives it an owner together with this version; `unbound_at` is as in `bind_content`. Returns the
    manifest, and whether the version is new: False if the same version was written before. Safe to repeat
    after a kill at any point; nothing is readable before the last step. Raises BundleAlreadyExists if the
    FQID has other content, BundleTombstoneAlreadyExists if it or its UUID is hidden, AlreadyOwned if the UUID
    gets another owner meanwhile, and PreconditionFailed if somebody else replaces the version that this one
    `replaces`.
    """
    claims = [claim_change(dss, Kind.BUNDLE, replaces, fqid)] if replaces else []
    manifest = bundle_manifest(fqid, creator_uid, files)
    encoded = encode(manifest)
    dss.faults.reach("bundle: before the head is created")
    head = bundle_head(fqid, creator_uid, files, encoded)
    created = dss.catalog.bundles.create_visible(head, binding, *claims, claim=claim)
    dss.faults.reach("bundle: head created")
    if claim:
        # Before the manifest, so that no rebuild sees the bundle without its owner.
        settled_binding(dss, fqid.uuid)
    dss.catalog.bundles.write_pages(fqid, files)
    dss.faults.reach("bundle: all pages created")
    write_once(dss.replicas.named(replica), manifest_key(Kind.BUNDLE, fqid), encoded)
    dss.faults.reach("bundle: manifest written")
    bind_content(dss, fqid, None if binding and binding.record.with_files else unbound_at)
    dss.catalog.bundles.make_available(fqid, replica)
    dss.faults.reach("bundle: available")
    return manifest, created


def change_bundle(
    dss: Dss,
    replica: str,
    old: BundleHead,
    files: Sequence[PagedFile],
    *,
    binding: CurrentBinding | None,
    unbound_at: str | None,
    replaces: Fqid | None,
) -> Fqid:
    """Create the version that follows another one, from files that are on the replica; return its FQID.

    Raises as `write_bundle`, and TooManyUnderWay if many others change the same version.
    """
    for version in following_versions(dss, old.fqid.version):
        new = Fqid(old.fqid.uuid, version)
        with suppress(BundleAlreadyExists):
            write_bundle(
                dss,
                replica,
                new,
                old.creator_uid,
                files,
                binding=binding,
                unbound_at=unbound_at,
                replaces=replaces,
            )
            break
    return new


def require_newest_bundle(dss: Dss, bundle: Fqid) -> None:
    """Raise PreconditionFailed if a replica shows a newer version, or this one no longer; a read for each."""
    heads = [dss.catalog.bundles.newest(bundle.uuid, replica) for replica in dss.replicas.names]
    require_newest(bundle, max((head.fqid.version for head in heads if head), default=None))


def delete_bundle(dss: Dss, replica: str, tombstone: BundleTombstone) -> None:
    """Hide a bundle version, or a UUID with all versions, also those written later, for ever.

    All versions are hidden at one moment, on all replicas. Safe to repeat after a kill at any point. Raises
    BundleTombstoneAlreadyExists if somebody else has hidden it, or for another reason.
    """
    dss.catalog.tombstones.create(tombstone)
    dss.faults.reach("tombstone: created")
    key = tombstone_key(Kind.BUNDLE, tombstone.uuid, tombstone.version)
    write_once(dss.replicas.named(replica), key, encode(tombstone_document(tombstone)))
    dss.faults.reach("tombstone: written")
    dss.catalog.tombstones.hide(tombstone, replica)
    dss.faults.reach("tombstone: hidden")


def paged_file(file: NamedFile, record: FileRecord) -> PagedFile:
    """Return a file of a bundle as its manifest describes it."""
    return PagedFile(
        name=file.name,
        uuid=file.fqid.uuid,
        version=file.fqid.version,
        content_type=record.content_type,
        size=record.size,
        indexed=file.indexed,
        crc32c=record.checksums.crc32c,
        s3_etag=record.checksums.s3_etag,
        sha1=record.checksums.sha1,
        sha256=record.checksums.sha256,
    )
