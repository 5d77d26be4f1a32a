"""How long manifests of a catalogue take in each format, and how much memory.

At full size it is as large as the HCA's own.
"""

import json
import multiprocessing
import resource
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.access import labels_of
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.manifests.formats import FORMATS, open_format
from shared.explore.manifests.selection import CatalogueSelection
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.query import Query
from shared.explore.settings import CatalogueSetting
from shared.identifiers import Fqid
from tests.benchmarks.explore_bundles import NoBundles, real_bundles, variants
from tests.benchmarks.explore_filled import Filling, fill
from tests.benchmarks.sizes import sized
from tests.benchmarks.text import paragraph
from tests.support.postgresql_server import postgresql_server

FILES = sized(461_287, 3_000)
FILES_PER_VARIANT = 40
# Seconds for one manifest.
_LONGEST = 3600
_TOKEN = 8


@dataclass(frozen=True, kw_only=True)
class Made:
    """A manifest: its size in bytes, and its cost: seconds, CPU time of Python, and memory in bytes."""

    format: str
    files: int
    size: int
    seconds: float
    own: float
    peak: int

    def __str__(self) -> str:
        return (
            f"{self.format}: {self.files:,} files, {self.size / 1e6:,.0f} MB in {self.seconds:.1f} s "
            f"({self.own:.1f} s CPU), {self.peak / 2**20:.0f} MiB"
        )


def manifests() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    try:
        real_bundles()
    except NoBundles as error:
        return f"## Manifests\n\n{error}\n"
    with postgresql_server() as server, TemporaryDirectory() as folder:
        originals = Path(folder) / "originals"
        with closing(_store(server.dsn)) as store:
            began = time.monotonic()
            wanted = {"files": FILES, "docs_per_variant": FILES_PER_VARIANT}
            filled = fill(server.dsn, store.catalogues()["hca"], **wanted)
            _keep_originals(originals, **wanted)
            print(f"{filled} in {time.monotonic() - began:.0f} s", flush=True)
        return _section(filled, [_in_a_process(server.dsn, originals, name) for name in FORMATS])


def _store(dsn: str) -> PostgreSqlCatalogues:
    return PostgreSqlCatalogues(
        dsn, [CatalogueSetting(name="hca", plugin="hca")], endpoint="https://dss.test/v1", host="dss"
    )


def _keep_originals(path: Path, *, files: int, docs_per_variant: int) -> None:
    """Write the metadata of all bundles into a file, from which a manifest reads them as from a bucket."""
    with closing(sqlite3.connect(path)) as kept, kept:
        kept.execute("CREATE TABLE variants (token TEXT PRIMARY KEY, version TEXT, text TEXT)")
        kept.execute("CREATE TABLE clones (token TEXT PRIMARY KEY, variant TEXT)")
        for variant in variants(files=files, docs_per_variant=docs_per_variant):
            metadata = variant.metadata
            text = json.dumps([str(metadata.fqid), list(metadata.files), dict(metadata.documents)])
            kept.execute(
                "INSERT INTO variants VALUES (?, ?, ?)", (variant.token, metadata.fqid.version, text)
            )
            rows = [(token, variant.token) for token in (variant.token, *variant.clones)]
            kept.executemany("INSERT INTO clones VALUES (?, ?)", rows)


class _Originals:
    """The metadata of bundles; those of a clone differ from a variant's by its token."""

    def __init__(self, path: Path) -> None:
        self._kept = sqlite3.connect(path, check_same_thread=False)

    def read(self, bundles: Iterable[Fqid]) -> Iterator[BundleMetadata]:
        """Yield the metadata of bundles, in their order."""
        for bundle in bundles:
            token = bundle.uuid[:_TOKEN]
            [(variant, text)] = self._kept.execute(
                "SELECT variants.token, text FROM variants JOIN clones ON variants.token = clones.variant"
                " WHERE clones.token = ?",
                (token,),
            ).fetchall()
            name, files, documents = json.loads(text.replace(variant, token))
            yield BundleMetadata(Fqid.parse(name), files, documents)


def _section(filled: Filling, made: Sequence[Made]) -> str:
    least = min(each.seconds for each in made)
    lines = [
        "## Manifests",
        "",
        paragraph(
            f"Of all {filled.files:,} files of a catalogue, in {filled.bundles:,} bundles, read from "
            f"PostgreSQL "
            "on the same cores and written to a local file, in a process that does nothing else. What "
            "bundles "
            "say of themselves comes from a file, not from a bucket. Memory is the peak of the process "
            "(VmHWM); "
            "`x` is a multiple of the time of the fastest."
        ),
        "",
        "| format | files | MB | s | x | files/s | Python CPU s | MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| `{each.format}` | {each.files:,} | {each.size / 1e6:,.1f} | {each.seconds:.1f} "
            f"| {each.seconds / least:.1f} | {each.files / each.seconds:,.0f} | {each.own:.1f} "
            f"| {each.peak / 2**20:.0f} |"
            for each in made
        ),
    ]
    return "\n".join([*lines, ""])


def _in_a_process(dsn: str, originals: Path, name: str) -> Made:
    # Not forked, so that the memory is its own.
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    worker = context.Process(target=_make, args=(results, dsn, originals, name))
    worker.start()
    made: Made = results.get(timeout=_LONGEST)
    worker.join()
    print(made, flush=True)
    return made


def _make(results: "multiprocessing.Queue[Made]", dsn: str, originals: Path, name: str) -> None:
    store = _store(dsn)
    selection = CatalogueSelection(
        store,
        store.catalogues()["hca"],
        labels_of(()),
        Query(entity_type="files", facets=()),
        base_url="https://dss.test",
        read=_Originals(originals).read,
    )
    began, size = time.monotonic(), 0
    with TemporaryDirectory() as folder, (Path(folder) / "manifest").open("wb") as file:
        for each in open_format(name).content(selection):
            if isinstance(each, bytes):
                size += file.write(each)
    results.put(
        Made(
            format=name,
            files=selection.read,
            size=size,
            seconds=time.monotonic() - began,
            own=time.process_time(),
            # Linux counts in KiB.
            peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
    )
    store.close()
