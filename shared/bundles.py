"""Bundles: which files they may have, and how a new version or a tombstone becomes visible."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.catalog import BundleHead, BundleTombstone, FileRecord, PagedFile
from shared.errors import DuplicateFilename, FileMissing, IllegalArguments
from shared.identifiers import Fqid, Kind, check_file_name, manifest_key, tombstone_key
from shared.manifests import bundle_manifest, digest, encode, tombstone_document, write_once
from shared.replication_wait import listed, wait_for
from shared.system import Dss


@dataclass(frozen=True)
class NamedFile:
    """A file version under the name that it has in a bundle."""

    name: str
    fqid: Fqid
    indexed: bool

    @classmethod
    def parse(cls, item: Mapping[str, Any], where: str) -> "NamedFile":
        """Return the file that an item of a request names.

        Raises IllegalArguments, saying `where`, for a name that a file may not have.
        """
        try:
            name = check_file_name(item["name"])
        except IllegalArguments as error:
            raise IllegalArguments(f"{where}.{error.title}") from error
        return cls(name, Fqid(item["uuid"], item["version"]), item["indexed"])


def check_names(names: Iterable[str]) -> None:
    """Raise DuplicateFilename where a name occurs twice, or is a directory of another: `a` and `a/b`."""
    counted = Counter(names)
    for name, count in counted.items():
        if count > 1:
            raise DuplicateFilename(f"files: the name {name!r} occurs {count} times")
        step = name.rfind("/")
        while step >= 0:
            if name[:step] in counted:
                raise DuplicateFilename(f"files: {name[:step]!r} is a file and a directory of {name!r}")
            step = name.rfind("/", 0, step)


def find_files(dss: Dss, replica: str, files: Sequence[NamedFile]) -> list[PagedFile]:
    """Return the files with all that a manifest says of them, in order of name.

    Waits for files that are on another replica only, or are being verified. Raises FileMissing, which names
    them, for files that exist nowhere (at once) or did not arrive in time.
    """
    found: dict[Fqid, FileRecord] = {}

    def where(wanted: Collection[Fqid]) -> dict[Fqid, frozenset[str]]:
        found.update(dss.catalog.files.get_many(wanted))
        return {fqid: found[fqid].available for fqid in wanted if fqid in found}

    def missing(fqids: Collection[Fqid], why: str) -> FileMissing:
        return FileMissing(f"files: {listed(fqids)}: {why or 'no such file'}")

    wait_for(dss, replica, {file.fqid for file in files}, where, missing, dss.catalog.jobs.are_under_way)
    return sorted(
        (_paged(file, found[file.fqid]) for file in files), key=lambda file: file.name.encode("utf-8")
    )


def write_bundle(
    dss: Dss, replica: str, fqid: Fqid, creator_uid: int, files: Sequence[PagedFile]
) -> tuple[dict[str, Any], bool]:
    """Make a bundle version of files that are on the replica, readable there when this returns.

    Returns its manifest, and whether the version is new: False means that the same was written before.
    Safe to repeat after a kill at any point; nothing is readable before the last step. Raises
    BundleAlreadyExists where other content has the FQID.
    """
    manifest = bundle_manifest(fqid, creator_uid, files)
    encoded = encode(manifest)
    dss.faults.reach("bundle: before the head is created")
    head = BundleHead(fqid=fqid, creator_uid=creator_uid, file_count=len(files), digest=digest(encoded))
    created = dss.catalog.bundles.create(head)
    dss.faults.reach("bundle: head created")
    dss.catalog.bundles.write_pages(fqid, files)
    dss.faults.reach("bundle: all pages created")
    write_once(dss.replicas.named(replica), manifest_key(Kind.BUNDLE, fqid), encoded)
    dss.faults.reach("bundle: manifest written")
    dss.catalog.bundles.make_available(fqid, replica)
    dss.faults.reach("bundle: available")
    return manifest, created


def delete_bundle(dss: Dss, replica: str, tombstone: BundleTombstone) -> None:
    """Hide a bundle version, or a UUID with all versions, also those written later, for ever.

    Hidden at one moment on all replicas when this returns. Safe to repeat after a kill at any point. Raises
    BundleTombstoneAlreadyExists where somebody else has hidden it, or for another reason.
    """
    dss.catalog.tombstones.create(tombstone)
    dss.faults.reach("tombstone: created")
    key = tombstone_key(Kind.BUNDLE, tombstone.uuid, tombstone.version)
    write_once(dss.replicas.named(replica), key, encode(tombstone_document(tombstone)))
    dss.faults.reach("tombstone: written")
    dss.catalog.tombstones.hide(tombstone, replica)
    dss.faults.reach("tombstone: hidden")


def _paged(file: NamedFile, record: FileRecord) -> PagedFile:
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
