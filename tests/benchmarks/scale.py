"""What the layout of keys and documents, and the plans of long runs, come to at 10^6, 10^8 and 10^10 files.

The functions that the system itself uses make the keys, shards, documents and key ranges. Rates are measured
here, in CPU time of this process, and then multiplied.
"""

import hashlib
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from local.components import API_TABLE
from local.components.events import topics
from local.stack import Stack
from shared.catalog import Catalog
from shared.catalog.bundles import PAGE_FILES, BundleHead, PagedFile
from shared.catalog.database import SHARDS, Database, new_shard
from shared.catalog.files import FileRecord
from shared.checksums import Checksums
from shared.clock import SystemClock
from shared.identifiers import MAX_FILE_NAME_BYTES, Fqid, Kind, event_id, manifest_key, publication_key
from shared.jobs.page import SLICE_SECONDS
from shared.jobs.sharding import USUAL_SHARDS
from shared.maintenance.audit import Audit, Position, Tally
from shared.maintenance.rebuild import THREADS, rebuild
from shared.maintenance.spans import spans
from shared.search.base import IndexEntry
from shared.search.firestore.rows import row_of
from tests.benchmarks.scale_prices import FILES_A_BUNDLE, SIZES, price_section, works
from tests.benchmarks.sizes import sized
from tests.support.api import Version, new_uuid, put_bundle
from tests.support.audits import AT_ONCE
from tests.support.batches import put_contents
from tests.support.firestore_sizes import MOST_BYTES, MOST_ENTRIES, Recorder, bytes_of, entries_of
from tests.support.manual_system import ManualSystem, manual_system_on

# Keys that are drawn; and files and bundles whose audit and rebuild are timed.
DRAWN = sized(400_000, 100_000)
TIMED_FILES = sized(2_000, 1_000)
VERSION = "2026-01-12T093000.000000Z"
_REPLICAS = ("gcp", "aws")
# A night, in seconds; and the most steps of Cloud Workflows (https://cloud.google.com/workflows/quotas).
NIGHT = 8 * 3600
MOST_STEPS = 100_000
STEPS_A_SLICE = 7
# Round trips of an object's rebuild, one after the other; and seconds of each, as in `latency`.
_ROUND_TRIPS, _ROUND_TRIP = 6, 0.03


@dataclass(frozen=True, kw_only=True)
class Rates:
    """CPU seconds of one process, for an object that is audited on one replica, and that is rebuilt."""

    audit: float
    rebuild: float


def scale() -> str:
    """Simulate and measure, and return the sections of the report. Raises LocalError."""
    began = time.monotonic()
    layout = [*_key_section(), *_document_section()]
    simulated = time.monotonic() - began
    rates = measured_rates()
    parts = f"{simulated:.0f} s to draw keys, {time.monotonic() - began - simulated:.0f} s to measure rates."
    rows = works(audit_cpu=rates.audit, rebuild_cpu=rates.rebuild)
    return "\n".join([*plan_section(rates), *price_section(rows), *layout, parts, ""])


def content(number: int) -> Checksums:
    """Return the checksums of a content."""
    data = number.to_bytes(8)
    sha256, sha1 = (hashlib.new(name, data).hexdigest() for name in ("sha256", "sha1"))
    return Checksums(sha256=sha256, sha1=sha1, s3_etag=sha1[:32], crc32c=sha1[:8])


def _drawn() -> Mapping[str, Callable[[int], str]]:
    """Return what makes the n-th key of each folder, by name."""
    return {
        "files/": lambda _: manifest_key(Kind.FILE, Fqid(new_uuid(), VERSION)),
        "bundles/": lambda _: manifest_key(Kind.BUNDLE, Fqid(new_uuid(), VERSION)),
        "blobs/": lambda number: content(number).blob_key,
        "events/": lambda _: publication_key(event_id("gcp", Fqid(new_uuid(), VERSION), "CREATE")),
    }


_KEYS = """\
{drawn:,} keys of each folder by the system's functions, over the {shards} key ranges of a run that is split
(`shared/maintenance/spans.py`) and over the 256 beginnings of two digits, by which a store would divide a
busy bucket. At n keys the fullest of k ranges has about 1 + sqrt(2 k ln k / n) of the mean.

| keys | fullest of {shards} ranges | predicted | fullest of 256 | predicted at 10^8, of {shards} |
| --- | ---: | ---: | ---: | ---: |"""


def _key_section() -> Iterable[str]:
    yield from ("## Keys", "", _KEYS.format(drawn=DRAWN, shards=USUAL_SHARDS))
    for folder, key in _drawn().items():
        ranges = Counter[int]()
        digits = Counter[str]()
        ends = [span.keys(folder).until for span in spans(USUAL_SHARDS)][:-1]
        for number in range(DRAWN):
            made = key(number)
            ranges[sum(made > end for end in ends)] += 1
            digits[made.removeprefix(folder)[:2]] += 1
        yield (
            f"| `{folder}` | {_fullest(ranges, USUAL_SHARDS):.4f} | {_predicted(DRAWN):.4f} "
            f"| {_fullest(digits, 256):.3f} | {_predicted(10**8):.5f} |"
        )
    shards = Counter(new_shard() for _ in range(DRAWN))
    yield from (
        f"| shards of queues | {_fullest(shards, SHARDS):.4f} (of {SHARDS}) | {_predicted(DRAWN):.4f} | "
        f"| {_predicted(10**8):.5f} |",
        "",
        "`journals/` have names that grow with time, one for a thousand events: one range has all of them.",
        "",
    )


def _fullest(counts: Counter[Any], ranges: int) -> float:
    return max(counts.values()) * ranges / counts.total()


def _predicted(keys: int) -> float:
    return 1 + math.sqrt(2 * USUAL_SHARDS * math.log(USUAL_SHARDS) / keys)


def documents() -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Return documents as the catalog and the index write them, each with its path, by what they are."""
    longest = "x" * MAX_FILE_NAME_BYTES
    return {
        "file": _everywhere(_written(lambda catalog: catalog.files.create(_file()))),
        "bundle": _everywhere(_written(lambda catalog: catalog.bundles.create(_bundle()))),
        f"page of a bundle: {PAGE_FILES} files": _written(
            lambda catalog: _write_page(catalog, "sample.fastq.gz")
        ),
        f"page of a bundle: names of {MAX_FILE_NAME_BYTES} bytes": _written(
            lambda catalog: _write_page(catalog, longest)
        ),
        "row of the index: a small document": _row(10),
        "row of the index: 4,900 values, nearly all postings that a row may have": _row(4_900),
    }


def _file() -> FileRecord:
    return FileRecord(
        fqid=Fqid(new_uuid(), VERSION),
        creator_uid=8008,
        content_type="application/gzip",
        size=10**9,
        checksums=content(1),
    )


def _bundle() -> BundleHead:
    return BundleHead(
        fqid=Fqid(new_uuid(), VERSION), creator_uid=8008, file_count=10, digest=content(1).sha256
    )


def _write_page(catalog: Catalog, name: str) -> None:
    """Write a page whose names don't compress."""
    letters = random.Random(7)
    files = [
        PagedFile(
            name="".join(letters.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=len(name))),
            uuid=new_uuid(),
            version=VERSION,
            content_type="application/gzip",
            size=number,
            indexed=False,
            crc32c=content(number).crc32c,
            s3_etag=content(number).s3_etag,
            sha1=content(number).sha1,
            sha256=content(number).sha256,
        )
        for number in range(PAGE_FILES)
    ]
    catalog.bundles.write_pages(Fqid(new_uuid(), VERSION), files)


def _written(write: Callable[[Catalog], object]) -> tuple[str, Mapping[str, Any]]:
    recorder = Recorder()
    write(Catalog(Database(recorder, replicas=_REPLICAS, clock=SystemClock())))  # type: ignore[arg-type]
    [(path, document)] = recorder.documents.items()
    return path, document


def _everywhere(written: tuple[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """Return a head as it is on all replicas."""
    path, document = written
    return path, {**document, "available": list(_REPLICAS), "missing": []}


def _row(values: int) -> tuple[str, Mapping[str, Any]]:
    document = {"files": {f"field_{number}": f"value {number}" for number in range(values)}}
    row = row_of(IndexEntry(replica="gcp", fqid=Fqid(new_uuid(), VERSION), document=document))
    return f"index_rows/{row.name}", row.fields


def _document_section() -> Iterable[str]:
    yield from (
        "## Documents",
        "",
        "As the system writes them, by the sizes of https://cloud.google.com/firestore/docs/storage-size. A",
        f"document has at most {MOST_BYTES:,} bytes, and {MOST_ENTRIES:,} index entries",
        "(https://cloud.google.com/firestore/quotas).",
        "",
        "| document | bytes | of the most | index entries | of the most |",
        "| --- | ---: | ---: | ---: | ---: |",
    )
    for name, (path, document) in documents().items():
        size, entries = bytes_of(path, document), entries_of(path, document)
        yield (
            f"| {name} | {size:,} | {size / MOST_BYTES:.1%} | {entries:,} | {entries / MOST_ENTRIES:.1%} |"
        )
    yield ""


def measured_rates() -> Rates:
    """Return the CPU time of an audit and of a rebuild, for each object."""
    table = (*API_TABLE, topics)
    with Stack(port=0, table=table).running() as env, manual_system_on(env) as system:
        _fill(system)
        replica = system.dss.replicas.named("gcp")
        tally = Tally()
        began = time.process_time()
        for stage in ("files", "bundles", "blobs"):
            audit = Audit(
                system.dss,
                [replica],
                settled_after=AT_ONCE,
                tally=tally,
                position=Position(stage),
                span=spans(1)[0],
            )
            for _ in audit.findings():
                raise AssertionError("there is nothing to be found")
        audited = (time.process_time() - began) / tally.objects.total()
        system.delete_catalog()
        began = time.process_time()
        outcomes = [one for one in rebuild(system.dss, replica) if one.new]
        rebuilt = (time.process_time() - began) / len(outcomes)
    rates = Rates(audit=audited, rebuild=rebuilt)
    print(rates, flush=True)
    return rates


def _fill(system: ManualSystem) -> None:
    contents = (os.urandom(50) for _ in range(TIMED_FILES))
    files: list[Version] = put_contents(system.api, "gcp", contents)
    rest = iter(files)
    while some := list(islice(rest, FILES_A_BUNDLE)):
        put_bundle(system.api, "gcp", [file.named(file.uuid) for file in some])


_PLANS = """\
CPU time of this process: {audit:.0f} µs for an object that an audit compares on one replica, {rebuild:.2f}
ms for one that a rebuild restores. A shard has an instance with one vCPU. A file has two objects on each of
{replicas} replicas; {files} files have a bundle, with three (manifest, document, publication). A slice ends
after {slice} s. Cloud Workflows runs {steps:,} steps at most; a slice takes {each}. The last column has the
shards that would be needed to end in eight hours.

| files | run | objects | hours, {shards} shards | slices | of all steps | for a night |
| ---: | --- | ---: | ---: | ---: | ---: | ---: |"""


def plan_section(rates: Rates) -> Iterable[str]:
    """Yield how long the runs take that are split by key range, and of how many slices they are."""
    yield from ("## Runs that are split by key range", "")
    yield _PLANS.format(
        audit=rates.audit * 1e6,
        rebuild=rates.rebuild * 1e3,
        replicas=len(_REPLICAS),
        files=FILES_A_BUNDLE,
        slice=SLICE_SECONDS,
        steps=MOST_STEPS,
        each=STEPS_A_SLICE,
        shards=USUAL_SHARDS,
    )
    # A rebuild waits: for each object some round trips, in threads.
    waiting = _ROUND_TRIPS * _ROUND_TRIP / THREADS
    for size in SIZES:
        of_replica = size * 2 + size // FILES_A_BUNDLE * 3
        restored = size + size // FILES_A_BUNDLE * 2
        for name, objects, seconds in (
            ("audit, two replicas", of_replica * len(_REPLICAS), rates.audit),
            ("rebuild, of one replica", restored, max(rates.rebuild, waiting)),
        ):
            whole = objects * seconds
            slices = math.ceil(whole / SLICE_SECONDS)
            yield (
                f"| {size:,} | {name} | {objects:,} | {whole / USUAL_SHARDS / 3600:,.1f} | {slices:,} "
                f"| {slices * STEPS_A_SLICE / MOST_STEPS:.0%} | {math.ceil(whole / NIGHT):,} |"
            )
    yield ""
