"""Repairs of what an audit finds, if it is clear what is right; everything else is left as it is.

No right object is ever removed but what was removed for good before, and a wrong one only while a right copy
elsewhere is proved. Every repair checks its finding again first, and is safe to repeat.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from shared.catalog import CopyOrder, JobState
from shared.clock import Deadline
from shared.copying.blobs import check_proof, copy_inline
from shared.copying.large import copy_source, request_copy
from shared.copying.plan import LARGEST_OBJECT
from shared.copying.uploads import abandoned, name_of
from shared.errors import DssError, InvalidChecksum, NotProven, ObjectNotFound
from shared.identifiers import parse_key
from shared.kinds import PagedKind, find_kind
from shared.maintenance import event_repair
from shared.maintenance.audit import Finding, Problem, check_object
from shared.maintenance.expected import ExpectedBlob
from shared.maintenance.sections import BlobSection, sections
from shared.manifests import digest, write_once
from shared.parallel import map_in_threads
from shared.purges.removal import REMOVED_KINDS
from shared.replicas import Replica
from shared.retry import retry
from shared.stores.base import StoredObject, UnfinishedUpload
from shared.system import Dss

# Seconds for one copy: no request waits for it, and 5 TiB at 100 MB/s take 15 hours.
_COPY_SECONDS = 24 * 3600
# A copy to S3 holds a part of 64 MiB in memory.
_THREADS = 4
# Far more than the manifest of a bundle of 100,000 files; a larger object isn't a manifest.
_LARGEST_MANIFEST = 128 * 1024 * 1024
_UNKNOWN = "the catalog does not know it any more"


@dataclass(frozen=True, kw_only=True)
class Repair:
    """The outcome for a finding; one of the texts is set.

    `done` says what was done, `left` why nothing was, and `copying` what the copy workflow is doing, as the
    job `copy_job`.
    """

    finding: Finding
    done: str = ""
    left: str = ""
    copying: str = ""
    copy_job: str = ""


@dataclass(frozen=True, kw_only=True)
class _Copying:
    """The job of the copy workflow that repairs a finding, described for a report."""

    job_id: str
    text: str


def repair(dss: Dss, finding: Finding, *, inline: int = LARGEST_OBJECT) -> Repair:
    """Repair a finding if it is clear what is right, and return what was done. Raises nothing.

    The copy workflow copies blobs of more than `inline` bytes.
    """
    work = _work_for(finding)
    if work is None:
        return prospect(finding)
    if work is _copy_blob:
        work = partial(_copy_blob, inline=inline)
    replica = dss.replicas.named(finding.replica)
    try:
        if not retry(dss.clock, partial(_is_still_so, dss, finding, replica)):
            return Repair(finding=finding, left="it is not so any more")
        # Repairs of two replicas' findings may write the same documents, and then one fails for a moment.
        done = retry(dss.clock, partial(work, dss, finding, replica))
    except DssError as error:
        return Repair(finding=finding, left=error.title)
    except (ValueError, LookupError, TypeError) as error:
        return Repair(finding=finding, left=f"unexpected content: {type(error).__name__}: {error}")
    if isinstance(done, _Copying):
        return Repair(finding=finding, copying=done.text, copy_job=done.job_id)
    return Repair(finding=finding, done=done)


def prospect(finding: Finding) -> Repair:
    """Return what is known of a repair without a look: why a finding would be left, or nothing."""
    return Repair(finding=finding, left="" if _work_for(finding) else _NEVER[finding.kind])


def _work_for(finding: Finding) -> Callable[[Dss, Finding, Replica], str | _Copying] | None:
    if finding.section in ("documents", "events", "journals"):
        return event_repair.REPAIRS.get((finding.kind, finding.section))
    return _REPAIRS.get((finding.kind, finding.section in ("blobs", "uploads", "elsewhere")))


def repaired(dss: Dss, findings: Iterable[Finding], *, inline: int = LARGEST_OBJECT) -> Iterator[Repair]:
    """Repair findings and yield the outcomes, in order; several at once, but one section after the other."""
    for _, of_section in groupby(findings, lambda finding: finding.section):
        yield from map_in_threads(partial(repair, dss, inline=inline), of_section, threads=_THREADS)


def _is_still_so(dss: Dss, finding: Finding, replica: Replica) -> bool:
    if finding.kind is Problem.ABANDONED:
        return _upload_of(dss, finding, replica) is not None
    verdict = check_object(dss, sections()[finding.section], replica, finding.key)
    return verdict is not None and verdict.kind is finding.kind


def _copy_blob(
    dss: Dss, finding: Finding, replica: Replica, *, inline: int = LARGEST_OBJECT
) -> str | _Copying:
    """Copy a blob from a replica on which it is proved. The copy replaces a wrong blob."""
    blob = BlobSection().lookup(dss, finding.key)
    if blob is None:
        raise NotProven("no file version names it any more")
    source, copy = _proved_copy(dss, blob, besides=replica)
    if blob.size > inline:
        order = CopyOrder(
            source=copy_source(copy, source),
            replica=replica.name,
            bucket=replica.bucket,
            key=blob.key,
            checksums=blob.checksums,
        )
        return _handed_over(dss, order)
    copy_inline(
        copy,
        source.store,
        replica,
        blob.key,
        checksums=blob.checksums,
        deadline=Deadline(dss.clock, _COPY_SECONDS),
    )
    return f"copied from {source.name}, {blob.size} bytes"


def _handed_over(dss: Dss, order: CopyOrder) -> _Copying:
    """Start or resume the copy workflow; the text names the error of its last attempt."""
    last = dss.catalog.jobs.get(order.job_id)
    failed = f"; the attempt before failed: {last.cause}" if last and last.state is JobState.FAILED else ""
    job = request_copy(dss, order)
    text = f"from {order.source.replica} by the copy workflow, {order.source.size} bytes{failed}"
    return _Copying(job_id=job.id, text=text)


def _proved_copy(dss: Dss, blob: ExpectedBlob, *, besides: Replica) -> tuple[Replica, StoredObject]:
    for replica in dss.replicas:
        if replica.name == besides.name:
            continue
        try:
            copy = replica.store.stat(replica.bucket, blob.key)
            check_proof(copy, blob.size, blob.checksums)
        except (ObjectNotFound, InvalidChecksum):
            continue
        return replica, copy
    raise NotProven("no other replica has a proved copy")


def _write_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Write a lost manifest or tombstone again, unless another replica contradicts the catalog."""
    content = _content(dss, finding.key)
    agreeing = _agreeing(dss, finding.key, content, besides=replica)
    write_once(replica, finding.key, content)
    return f"written again, as in the catalog{''.join(f' and on {name}' for name in agreeing)}"


def _replace_document(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Replace a wrong manifest or tombstone with what the catalog and another replica both have."""
    content = _content(dss, finding.key)
    agreeing = _agreeing(dss, finding.key, content, besides=replica)
    if not agreeing:
        raise NotProven("the catalog says otherwise, and no other replica shows which of them is right")
    replica.store.delete(replica.bucket, finding.key)
    write_once(replica, finding.key, content)
    return f"replaced by what the catalog has, and {' and '.join(agreeing)}"


def _content(dss: Dss, key: str) -> bytes:
    name = parse_key(key)
    kind = find_kind(name) if name else None
    record = kind.lookup(dss, name) if kind and name else None
    if kind is None or record is None:
        raise NotProven(_UNKNOWN)
    return kind.document(dss, record)


def _agreeing(dss: Dss, key: str, content: bytes, *, besides: Replica) -> list[str]:
    """Return the other replicas that have this content. Raises NotProven if one has other content."""
    agreeing = []
    for replica in dss.replicas:
        if replica.name == besides.name:
            continue
        try:
            if _read(replica, key) != content:
                raise NotProven(f"the catalog and replica {replica.name} contradict each other")
            agreeing.append(replica.name)
        except ObjectNotFound:
            continue
    return agreeing


def _read(replica: Replica, key: str) -> bytes:
    stored = replica.store.stat(replica.bucket, key)
    if stored.size > _LARGEST_MANIFEST:
        raise NotProven(f"{stored.size} bytes are too many for a manifest")
    return replica.store.read_all(replica.bucket, key)


def _restore(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Take a dark manifest or tombstone into the catalog, after it and what it rests on are proved.

    A claim in the catalog is for ever, so nothing is written before.
    """
    name = parse_key(finding.key)
    kind = find_kind(name) if name else None
    if name is None or kind is None:
        raise NotProven("the system gives no such name")
    current = dss.catalog.bindings.current(name.uuid) if name.kind in REMOVED_KINDS else None
    if current and current.removed(name.version):
        replica.store.erase(replica.bucket, finding.key)
        return "erased: it was removed for good"
    kind.prove(dss, name, _read(replica, finding.key), replica)
    kind.restore(dss, name, replica)
    return "taken into the catalog"


def _rewrite_pages(dss: Dss, finding: Finding, _: Replica) -> str:
    """Write the pages of a head again, from a replica whose manifest has the digest of the head."""
    name = parse_key(finding.key)
    kind = find_kind(name) if name else None
    if name is None or not isinstance(kind, PagedKind):
        raise NotProven("the system keeps no pages for such a name")
    head = kind.lookup(dss, name)
    if head is None:
        raise NotProven(_UNKNOWN)
    source, content = _manifest_with(dss, head.digest, name.key)
    kind.write_pages(dss, name, content)
    return f"its pages were written again, from the manifest on {source}"


def _manifest_with(dss: Dss, expected: str, key: str) -> tuple[str, bytes]:
    """Return the first replica whose manifest has a digest, and that manifest."""
    for replica in dss.replicas:
        try:
            content = _read(replica, key)
        except ObjectNotFound:
            continue
        if digest(content) == expected:
            return replica.name, content
    raise NotProven("no replica has the manifest that the catalog has the digest of")


def _abort_upload(dss: Dss, finding: Finding, replica: Replica) -> str:
    """Abort an abandoned upload."""
    if upload := _upload_of(dss, finding, replica):
        replica.store.abort_upload(upload)
    return "aborted"


def _upload_of(dss: Dss, finding: Finding, replica: Replica) -> UnfinishedUpload | None:
    uploads = (upload for upload in abandoned(dss, replica) if name_of(replica, upload) == finding.key)
    return next(uploads, None)


# Repairs by problem, of blobs, uploads and objects elsewhere (True), or of manifests and tombstones (False).
_REPAIRS: Mapping[tuple[Problem, bool], Callable[[Dss, Finding, Replica], str | _Copying]] = {
    (Problem.LOST, True): _copy_blob,
    (Problem.CORRUPT, True): _copy_blob,
    (Problem.ABANDONED, True): _abort_upload,
    (Problem.LOST, False): _write_document,
    (Problem.CORRUPT, False): _replace_document,
    (Problem.DARK, False): _restore,
    (Problem.BROKEN, False): _rewrite_pages,
}
_NEVER: Mapping[Problem, str] = {
    Problem.DARK: "nothing tells what it is for",
    Problem.UNPROVEN: "what the store knows neither proves nor contradicts it",
}
