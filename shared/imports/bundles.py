"""The files of a shard become bundles."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from shared.access import Action, Principal, Resource
from shared.bindings import writable_bundle
from shared.bundles import NamedFile, paged_file, write_bundle
from shared.catalog import BundleHead, FileRecord, ImportJob, PagedFile
from shared.errors import BundleAlreadyExists, TooManyUnderWay, Unprocessable
from shared.identifiers import Fqid, version_after
from shared.imports.rows import Row
from shared.imports.rules import bundle_uuid, bundle_version
from shared.manifests import bundle_manifest, digest, encode
from shared.system import Dss

# Files of one bundle: its manifest then has some 50 MiB, and is in memory at once.
MOST_FILES = 100_000
# Versions that are tried, each a microsecond after the one before, until one is free.
_VERSIONS = 20


@dataclass(frozen=True, kw_only=True)
class BundleOutcome:
    """A bundle that is there now: whether this version is new, and how many of its files are missing."""

    fqid: Fqid
    new: bool
    missing: int


def by_bundle(rows: Iterable[Row]) -> Mapping[str, Sequence[Row]]:
    """Return the rows of each bundle, by its name, in order of the names."""
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.bundle].append(row)
    return dict(sorted(grouped.items()))


def import_bundle(dss: Dss, job: ImportJob, who: Principal, name: str, rows: Sequence[Row]) -> BundleOutcome:
    """Make a bundle version of those of its files that are in; the one that is there if it has these files.

    Safe to repeat. Raises Unprocessable if it can't be made of its files, Unauthorized and Forbidden if the
    importer may not write it, and what `write_bundle` raises.
    """
    order = job.order
    scope = order.owner_group if "://" in name else order.owner_group or order.email
    uuid = bundle_uuid(scope, name)
    # Before the binding and the heads of the files are read.
    change = dss.catalog.bindings.last_change()

    def require(what: Resource) -> None:
        dss.policy.decide(who, Action.WRITE, what).require()

    binding, claim = writable_bundle(dss, uuid, order.owner_group or None, lambda: order.email, require)
    files, unbound = _files(dss, job, who, rows)
    missing = len(rows) - len(files)
    if not files or (missing and order.whole):
        raise Unprocessable(f"{missing} of its {len(rows)} files did not go in")
    newest = dss.catalog.bundles.newest(uuid, order.replica)
    if newest and _is_same(newest, files):
        return BundleOutcome(fqid=newest.fqid, new=False, missing=missing)
    write = partial(
        write_bundle,
        dss,
        order.replica,
        creator_uid=order.creator_uid,
        files=files,
        binding=binding,
        unbound_at=change if unbound else None,
        claim=claim,
    )
    version = bundle_version((file.version for file in files), newest.fqid.version if newest else None)
    for _ in range(_VERSIONS):
        fqid = Fqid(uuid, version)
        with suppress(BundleAlreadyExists):
            _, created = write(fqid)
            return BundleOutcome(fqid=fqid, new=created, missing=missing)
        version = version_after(version)
    raise TooManyUnderWay(f"bundle {uuid} is being changed by many at once; try again")


def _files(dss: Dss, job: ImportJob, who: Principal, rows: Sequence[Row]) -> tuple[list[PagedFile], bool]:
    """Return the files of a bundle that are in and that its importer may read; whether none is bound."""
    if len(rows) > MOST_FILES:
        raise Unprocessable(f"it has {len(rows):,} files; a bundle may have {MOST_FILES:,}: make several")
    records = dss.catalog.files.get_many(row.fqid(job.order) for row in rows)
    found = []
    for row in rows:
        record = records.get(row.fqid(job.order))
        if record and is_in(dss, job, who, row, record):
            found.append((paged_file(NamedFile(row.name, record.fqid, row.indexed), record), record))
    found.sort(key=lambda each: each[0].name.encode())
    return [file for file, _ in found], not any(record.readers for _, record in found)


def is_in(dss: Dss, job: ImportJob, who: Principal, row: Row, record: FileRecord) -> bool:
    """Return whether a file version is the one of a row, and is there for its importer."""
    return (
        job.order.replica in record.available
        and row.is_content_of(record)
        and dss.policy.may_read(who, record.readers)
    )


def _is_same(head: BundleHead, files: Sequence[PagedFile]) -> bool:
    """Return whether a bundle version has exactly these files."""
    if head.file_count != len(files):
        return False
    return digest(encode(bundle_manifest(head.fqid, head.creator_uid, files))) == head.digest
