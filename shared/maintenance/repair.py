"""Repairs of what an audit finds, where it is clear what is right; everything else is left as it is.

Nothing that is right is ever removed, and what is wrong only while a right copy elsewhere is proven. Every
repair looks again first, and may be done twice.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from shared.catalog import BundleHead, CollectionHead, CopyOrder, FileRecord, JobState, PagedFile
from shared.clock import Deadline
from shared.collections import (
    collection_of_manifest,
    collection_tombstone_document,
    collection_tombstone_of,
)
from shared.copying.blobs import check_proof, copy_inline
from shared.copying.large import copy_source, request_copy
from shared.copying.plan import LARGEST_OBJECT
from shared.copying.uploads import abandoned, name_of
from shared.errors import DssError, InvalidChecksum, ObjectNotFound
from shared.files import write_once
from shared.identifiers import Fqid, ObjectName, parse_key
from shared.identifiers import Kind as Folder
from shared.maintenance import repair_events as repairing_events
from shared.maintenance.audit import Finding, Problem, look
from shared.maintenance.expectations import SECTIONS
from shared.maintenance.expected import ExpectedBlob
from shared.maintenance.remake import Unexplained, document, is_known
from shared.manifests import (
    bundle_manifest,
    bundle_of_manifest,
    digest,
    encode,
    file_manifest,
    file_of_manifest,
    tombstone_document,
    tombstone_of_document,
)
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.restore import lacking_targets, restore
from shared.retry import retry
from shared.stores.base import StoredObject, UnfinishedUpload, read_all
from shared.system import Dss

# Seconds for one copy: nobody waits for an answer, and 5 TiB at 100 MB/s take 15 hours.
_COPY_SECONDS = 24 * 3600
# A copy to S3 holds a part of 64 MiB in memory.
_THREADS = 4
# Far more than the manifest of a bundle of 100,000 files; what is larger is none.
_LARGEST_MANIFEST = 128 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What became of a finding, all but one of them empty.

    `done` says what was done, `left` why nothing was, and `copying` what the copy workflow is doing now, as
    the job `copy_job`.
    """

    finding: Finding
    done: str = ""
    left: str = ""
    copying: str = ""
    copy_job: str = ""


@dataclass(frozen=True, kw_only=True)
class _Copying:
    """What the copy workflow is doing about a finding; see `Repair`."""

    job_id: str
    words: str


def repair(dss: Dss, finding: Finding, *, inline: int = LARGEST_OBJECT) -> Repair:
    """Put right what a finding is about, where that is clear, and say what was done. Raises nothing.

    A blob of more than `inline` bytes goes to the copy workflow.
    """
    work = _REPAIRS.get((finding.kind, finding.section in ("blobs", "uploads", "elsewhere")))
    if finding.section in ("documents", "events", "journals"):
        work = repairing_events.REPAIRS.get((finding.kind, finding.section))
    if work is None:
        return Repair(finding=finding, left=_NEVER[finding.kind])
    if work is _copy_blob:
        work = partial(_copy_blob, inline=inline)
    replica = dss.replicas.named(finding.replica)
    try:
        if not retry(dss.clock, partial(_is_still_so, dss, finding, replica)):
            return Repair(finding=finding, left="it is not so any more")
        # Among what fails for a moment are transactions on what two replicas' findings have in common.
        done = retry(dss.clock, partial(work, dss, finding, replica))
    except DssError as error:
        return Repair(finding=finding, left=error.title)
    except (ValueError, LookupError, TypeError) as error:
        return Repair(finding=finding, left=f"unexpected content: {type(error).__name__}: {error}")
    if isinstance(done, _Copying):
        return Repair(finding=finding, copying=done.words, copy_job=done.job_id)
    return Repair(finding=finding, done=done)


def repaired(dss: Dss, findings: Iterable[Finding], *, inline: int = LARGEST_OBJECT) -> Iterator[Repair]:
    """Yield what becomes of findings, in their order, several at once, but one section after the other."""
    for _, of_section in groupby(findings, lambda finding: finding.section):
        yield from map_in_threads(partial(repair, dss, inline=inline), of_section, threads=_THREADS)


def _is_still_so(dss: Dss, finding: Finding, replica: Replica) -> bool:
    if finding.kind is Problem.ABANDONED:
        return _upload_of(dss, finding, replica) is not None
    verdict = look(dss, SECTIONS[finding.section], replica, finding.key)
    return verdict is not None and verdict.kind is finding.kind


def _copy_blob(
    dss: Dss, finding: Finding, replica: Replica, *, inline: int = LARGEST_OBJECT
) -> str | _Copying:
    """Copy a blob from a replica that has it proven; what is wrong in its place is removed by the copy."""
    blob = SECTIONS["blobs"].again(dss, finding.key)
    if not isinstance(blob, ExpectedBlob):
        raise Unexplained("no file version names it any more")
    source, found = _proven_copy(dss, blob, besides=replica)
    if blob.size > inline:
        order = CopyOrder(
            source=copy_source(found, source),
            replica=replica.name,
            bucket=replica.bucket,
            key=blob.key,
            checksums=blob.checksums,
        )
        return _handed_over(dss, order)
    copy_inline(
        found,
        source.store,
        replica,
        blob.key,
        checksums=blob.checksums,
        deadline=Deadline(dss.clock, _COPY_SECONDS),
    )
    return f"copied from {source.name}, {blob.size} bytes"


def _handed_over(dss: Dss, order: CopyOrder) -> _Copying:
    """Have the copy workflow do it, or go on with it, and say of what its last attempt failed."""
    last = dss.catalog.jobs.get(order.job_id)
    failed = f"; the attempt before failed: {last.cause}" if last and last.state is JobState.FAILED else ""
    job = request_copy(dss, order)
    words = f"from {order.source.replica} by the copy workflow, {order.source.size} bytes{failed}"
    return _Copying(job_id=job.id, words=words)


def _proven_copy(dss: Dss, blob: ExpectedBlob, *, besides: Replica) -> tuple[Replica, StoredObject]:
    for replica in dss.replicas:
        if replica.name == besides.name:
            continue
        try:
            found = replica.store.stat(replica.bucket, blob.key)
            check_proof(found, blob.size, blob.checksums)
        except (ObjectNotFound, InvalidChecksum):
            continue
        return replica, found
    raise Unexplained("no other replica has it proven")


def _write_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Write a lost manifest or tombstone again, unless another replica says otherwise than the catalog."""
    content = _content(dss, finding.key)
    agreeing = _agreeing(dss, finding.key, content, besides=replica)
    write_once(dss, replica.name, finding.key, content)
    return f"written again, as in the catalog{''.join(f' and on {name}' for name in agreeing)}"


def _replace_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Replace a wrong manifest or tombstone by what the catalog and another replica both have."""
    content = _content(dss, finding.key)
    agreeing = _agreeing(dss, finding.key, content, besides=replica)
    if not agreeing:
        raise Unexplained("the catalog says otherwise, and no other replica tells which of them is right")
    replica.store.delete(replica.bucket, finding.key)
    write_once(dss, replica.name, finding.key, content)
    return f"replaced by what the catalog has, and {' and '.join(agreeing)}"


def _content(dss: Dss, key: str) -> bytes:
    content = document(dss, key)
    if content is None:
        raise Unexplained("the catalog does not know it any more")
    return content


def _agreeing(dss: Dss, key: str, content: bytes, *, besides: Replica) -> list[str]:
    """Return the other replicas that have just this content. Raises where one has another."""
    agreeing = []
    for replica in dss.replicas:
        if replica.name == besides.name:
            continue
        try:
            if _read(replica, key) != content:
                raise Unexplained(f"the catalog and replica {replica.name} contradict each other")
            agreeing.append(replica.name)
        except ObjectNotFound:
            continue
    return agreeing


def _read(replica: Replica, key: str) -> bytes:
    found = replica.store.stat(replica.bucket, key)
    if found.size > _LARGEST_MANIFEST:
        raise Unexplained(f"{found.size} bytes are no manifest")
    return read_all(replica.store, replica.bucket, key)


def _take_in(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Take a dark manifest or tombstone into the catalog, once it and what it rests on are proven.

    Proven before anything is written: a claim in the catalog is for ever.
    """
    name = parse_key(finding.key)
    if name is None or not is_known(name):
        raise Unexplained("the system gives no such name")
    _PROOFS[name.kind, name.dead](dss, name, _read(replica, finding.key), replica)
    restore(dss, name, replica)
    return "taken into the catalog"


def _same(made: dict[str, Any], content: bytes) -> None:
    if encode(made) != content:
        raise Unexplained("it is not as the system writes it")


def _fqid(name: ObjectName) -> Fqid:
    return Fqid(name.uuid, name.version or "")


def _prove_file(_: Dss, name: ObjectName, content: bytes, replica: Replica) -> None:
    record = file_of_manifest(_fqid(name), json.loads(content))
    _same(file_manifest(record), content)
    found = replica.store.stat(replica.bucket, record.checksums.blob_key)
    check_proof(found, record.size, record.checksums)


def _prove_bundle(dss: Dss, name: ObjectName, content: bytes, replica: Replica) -> None:
    head, files = bundle_of_manifest(_fqid(name), content)
    _same(bundle_manifest(head.fqid, head.creator_uid, files), content)
    known = dss.catalog.files.get_many({Fqid(file.uuid, file.version) for file in files})
    for file in files:
        record = known.get(Fqid(file.uuid, file.version))
        if record is None or replica.name not in record.available:
            raise Unexplained(f"file {file.uuid}.{file.version} of it is not here")
        if not _is_same_file(file, record):
            raise Unexplained(f"file {file.uuid}.{file.version} of it has other content")


def _is_same_file(file: PagedFile, record: FileRecord) -> bool:
    sums = record.checksums
    return (
        (file.size, file.content_type) == (record.size, record.content_type)
        and (file.sha256, file.sha1) == (sums.sha256, sums.sha1)
        and (file.s3_etag, file.crc32c) == (sums.s3_etag, sums.crc32c)
    )


def _prove_tombstone(dss: Dss, name: ObjectName, content: bytes, _: Replica) -> None:
    tombstone = tombstone_of_document(name.uuid, name.version, json.loads(content))
    _same(tombstone_document(tombstone), content)
    if name.version and dss.catalog.bundles.head(Fqid(name.uuid, name.version)) is None:
        raise Unexplained("the bundle that it hides is not known")


def _prove_collection(dss: Dss, name: ObjectName, content: bytes, replica: Replica) -> None:
    version = collection_of_manifest(_fqid(name), content)
    _prove_owner(dss, name, version.owner)
    lacking = lacking_targets(dss, version.items, replica)
    if lacking:
        raise Unexplained(f"{min(lacking)} of it is not here")


def _prove_collection_tombstone(dss: Dss, name: ObjectName, content: bytes, _: Replica) -> None:
    tombstone = collection_tombstone_of(name.uuid, json.loads(content))
    _same(collection_tombstone_document(tombstone), content)
    if dss.catalog.collections.owned(name.uuid) is None:
        raise Unexplained("the collection that it hides is not known")
    _prove_owner(dss, name, tombstone.owner)


def _prove_owner(dss: Dss, name: ObjectName, owner: str) -> None:
    owned = dss.catalog.collections.owned(name.uuid)
    if owned and owned.owner != owner:
        raise Unexplained("the collection is somebody else's")


# What has to be right about a manifest or tombstone before it is taken in; each raises what is not.
_PROOFS: Mapping[tuple[Folder, bool], Callable[[Dss, ObjectName, bytes, Replica], None]] = {
    (Folder.FILE, False): _prove_file,
    (Folder.BUNDLE, False): _prove_bundle,
    (Folder.BUNDLE, True): _prove_tombstone,
    (Folder.COLLECTION, False): _prove_collection,
    (Folder.COLLECTION, True): _prove_collection_tombstone,
}


def _mend_catalog(dss: Dss, finding: Finding, _: Replica) -> str:
    """Write the pages of a head again, from a replica whose manifest has the digest of the head."""
    name = parse_key(finding.key)
    if name is None:
        raise Unexplained("the system gives no such name")
    if name.kind is Folder.COLLECTION:
        return _mend_collection(dss, name)
    head = dss.catalog.bundles.head(_fqid(name))
    source, content = _manifest_with(dss, head, name)
    dss.catalog.bundles.write_pages(_fqid(name), bundle_of_manifest(_fqid(name), content)[1])
    return f"its pages were written again, from the manifest on {source}"


def _mend_collection(dss: Dss, name: ObjectName) -> str:
    head = dss.catalog.collections.head(_fqid(name))
    source, content = _manifest_with(dss, head, name)
    dss.catalog.collections.write_pages(_fqid(name), collection_of_manifest(_fqid(name), content).pages)
    return f"its pages were written again, from the manifest on {source}"


def _manifest_with(dss: Dss, head: BundleHead | CollectionHead | None, name: ObjectName) -> tuple[str, bytes]:
    if head is None:
        raise Unexplained("the catalog does not know it any more")
    for replica in dss.replicas:
        try:
            content = _read(replica, name.key)
        except ObjectNotFound:
            continue
        if digest(content) == head.digest:
            return replica.name, content
    raise Unexplained("no replica has the manifest that the catalog has the digest of")


def _abort_upload(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Abort an upload that nobody will finish."""
    if upload := _upload_of(dss, finding, replica):
        replica.store.abort_upload(upload)
    return "aborted"


def _upload_of(dss: Dss, finding: Finding, replica: Replica) -> UnfinishedUpload | None:
    found = (upload for upload in abandoned(dss, replica) if name_of(replica, upload) == finding.key)
    return next(found, None)


# What is done about a kind of finding in documents (False) or elsewhere (True).
_REPAIRS: Mapping[tuple[Problem, bool], Callable[[Dss, Finding, Replica], str | _Copying]] = {
    (Problem.LOST, True): _copy_blob,
    (Problem.CORRUPT, True): _copy_blob,
    (Problem.ABANDONED, True): _abort_upload,
    (Problem.LOST, False): _write_document,
    (Problem.CORRUPT, False): _replace_document,
    (Problem.DARK, False): _take_in,
    (Problem.BROKEN, False): _mend_catalog,
}
_NEVER: Mapping[Problem, str] = {
    Problem.DARK: "nothing tells what it is for",
    Problem.UNPROVEN: "what the store knows neither proves nor contradicts it",
}
