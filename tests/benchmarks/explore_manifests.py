"""How long manifests of a large catalogue take, and how much memory."""

import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.access import labels_of
from shared.explore.manifests.formats import open_format
from shared.explore.manifests.selection import CatalogueSelection
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.query import Query
from shared.explore.settings import CatalogueSetting

FORMATS = ("compact", "curl")


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


def manifests(dsn: str) -> list[Made]:
    """Make a manifest of all files of the catalogue `hca` in each format, in a process of its own each."""
    return [_in_a_process(dsn, name) for name in FORMATS]


def section(made: Sequence[Made]) -> str:
    """Return the section of the report."""
    lines = [
        "## Manifests",
        "",
        "Of all files, read from PostgreSQL on the same cores and written to a local file, in a process that",
        "does nothing else; memory is the peak of the process (VmHWM).",
        "",
        "| format | files | MB | s | Python CPU s | MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| `{each.format}` | {each.files:,} | {each.size / 1e6:,.0f} | {each.seconds:.1f} "
            f"| {each.own:.1f} | {each.peak / 2**20:.0f} |"
            for each in made
        ),
    ]
    return "\n".join([*lines, ""])


def _in_a_process(dsn: str, name: str) -> Made:
    # Not forked, so that the memory is its own.
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    worker = context.Process(target=_make, args=(results, dsn, name))
    worker.start()
    made: Made = results.get(timeout=900)
    worker.join()
    print(made, flush=True)
    return made


def _make(results: "multiprocessing.Queue[Made]", dsn: str, name: str) -> None:
    store = PostgreSqlCatalogues(
        dsn, [CatalogueSetting(name="hca", plugin="hca")], endpoint="https://dss.test/v1", host="dss"
    )
    selection = CatalogueSelection(
        store,
        store.catalogues()["hca"],
        labels_of(()),
        Query(entity_type="files", facets=()),
        base_url="https://dss.test",
        read=lambda _: iter(()),
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
