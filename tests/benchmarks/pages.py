"""Pages of a catalogue, of the HCA's own size if that is full: the server's time until a page is there.

The catalogue is filled with bundles like real ones of the HCA, which are in a folder beside the project.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from re import search
from urllib.parse import urlencode

import psycopg
import requests

from local.api import api_process
from local.components import API_TABLE
from local.stack import Stack
from tests.benchmarks.explore import FILES, FILES_PER_VARIANT
from tests.benchmarks.explore_bundles import NoBundles, real_bundles
from tests.benchmarks.explore_filled import Filling, fill
from tests.benchmarks.lag import percentile
from tests.benchmarks.sizes import sized
from tests.support.dss import open_dss

# How often each page is asked for, and seconds after which it is not any more, but LEAST times.
ASKED, SECONDS, LEAST = 20, sized(5.0, 2.0), 5
# No page is refused for how many there were before it.
_SETTINGS = {"DSS_ADDRESS_UNITS": "0"}
# Milliseconds: of a first page, and of others that are as many as people turn over.
FIRST, NEXT = 300, 150
_CHANGE = """
    INSERT INTO dss_explore_revisions AS known (catalog, slot, n) VALUES (%s, 0, 1)
    ON CONFLICT (catalog, slot) DO UPDATE SET n = known.n + 1
"""
_THREE = {"is.genusSpecies": "Homo sapiens", "is.organ": "blood", "is.fileFormat": "fastq.gz"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The times of a page, in seconds, and its size in bytes."""

    name: str
    target: int | None
    seconds: Sequence[float]
    size: int

    def row(self) -> str:
        """Return it as a row of the report."""
        times = [f"{percentile(sorted(self.seconds), part) * 1000:.0f}" for part in (50, 95)]
        return " | ".join((f"| {self.name}", *times, str(self.target or ""), f"{self.size / 1000:.0f} |"))


def pages(files: int = FILES) -> str:
    """Measure with so many files, and return the section of the report. Raises LocalError."""
    try:
        real_bundles()
    except NoBundles as error:
        return f"## Pages\n\n{error}\n"
    with Stack(port=0, table=API_TABLE).running() as env:
        with open_dss(env) as dss:
            catalogue = next(iter(dss.catalogues.catalogues().values()))
            filled = fill(
                env["DSS_POSTGRESQL_DSN"], catalogue, files=files, docs_per_variant=FILES_PER_VARIANT
            )
        print(filled, flush=True)
        with (
            api_process(env, _SETTINGS) as api,
            psycopg.connect(env["DSS_POSTGRESQL_DSN"], autocommit=True) as connection,
        ):
            rows = list(_Reader(api.url, connection, catalogue.number).all())
    return _section(filled, rows)


class _Reader:
    """Somebody who reads pages; the catalogue changes when that is wanted."""

    def __init__(self, url: str, connection: "psycopg.Connection[tuple[object, ...]]", number: int) -> None:
        self._url = url
        self._connection = connection
        self._number = number
        self._session = requests.Session()

    def all(self) -> Iterator[Asked]:
        for kind in ("projects", "samples", "files", "bundles"):
            yield from self._list(f"{kind}, no filter", f"/browse/{kind}", {})
            yield from self._list(f"{kind}, three facets", f"/browse/{kind}", _THREE)
        yield from self._list("files, by words", "/browse/files", {"q": "blood"})
        yield from self._list(
            "files, by size and two facets",
            "/browse/files",
            {**dict(list(_THREE.items())[:2]), "least.fileSize": "1000"},
            promised=False,
        )
        charts = "/browse/charts/files"
        yield self._asked("charts of files, changed", None, charts, changes=True)
        yield self._asked("charts of files, kept", FIRST, charts)
        began = time.monotonic()
        self._get("/browse/growth")
        yield Asked(name="growth, once an hour", target=None, seconds=[time.monotonic() - began], size=0)
        yield self._asked("growth, kept", FIRST, "/browse/growth")

    def _list(
        self, name: str, path: str, query: Mapping[str, str], *, promised: bool = True
    ) -> Iterator[Asked]:
        target = f"{path}?{urlencode(query)}"
        first = FIRST if promised else None
        yield self._asked(f"{name}: first page, changed", first, target, changes=True)
        yield self._asked(f"{name}: first page, kept", first, target)
        following = search(r'rel="next" href="([^"]+)"', self._get(target))
        if following:
            yield self._asked(f"{name}: next page", NEXT if promised else None, unescape(following[1]))

    def _asked(self, name: str, target: int | None, path: str, *, changes: bool = False) -> Asked:
        # The first one brings what it needs into memory.
        self._get(path)
        seconds: list[float] = []
        until = time.monotonic() + SECONDS
        while len(seconds) < LEAST or (len(seconds) < ASKED and time.monotonic() < until):
            if changes:
                self._connection.execute(_CHANGE, (self._number,))
            began = time.monotonic()
            text = self._get(path)
            seconds.append(time.monotonic() - began)
        row = Asked(name=name, target=target, seconds=seconds, size=len(text.encode()))
        print(row.row(), flush=True)
        return row

    def _get(self, path: str) -> str:
        answer = self._session.get(self._url + path, timeout=60)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code}: {answer.text[:500]}")
        return answer.text


def _section(filled: Filling, rows: Sequence[Asked]) -> str:
    lines = [
        "## Pages",
        "",
        f"A catalogue of {filled.files:,} files in {filled.bundles:,} bundles, made of {filled.variants:,}",
        "different ones that are like real bundles of the HCA. One client, over HTTP, asks for a page",
        f"{LEAST} to {ASKED} times. Before each page of a row *changed* the catalogue gets another revision,",
        "so that all is counted anew; in the others what was counted is kept. A page is at most four",
        "requests: itself, and once a year the style sheet, the script and the icon.",
        "",
        "| page | p50 ms | p95 ms | target ms | kB |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(row.row() for row in rows),
        "",
    ]
    return "\n".join(lines)
