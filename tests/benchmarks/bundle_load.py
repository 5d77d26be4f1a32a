"""Bundles at a rate, from a process of its own; JSON in, JSON out: `python -m tests.benchmarks.bundle_load`.

Each bundle starts at its time, even if those before it are not answered yet: its files are PUT one after the
other, then the bundle. A bundle that finds no thread starts late, which shows in the rate that was reached.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from tests.support.api import Version, new_uuid, now

_THREADS = 48


@dataclass(frozen=True, kw_only=True)
class BundlePlan:
    """Bundles to PUT: `rate` of them a second, of `files_each` files each, made from the sources in turn."""

    host: str
    port: int
    token: str
    rate: float
    files_each: int
    sources: list[str]


@dataclass(frozen=True, kw_only=True)
class BundleResult:
    """The answers: each bundle's FQID and when it was answered, in seconds since 1970; and what failed."""

    answered: dict[str, float]
    failures: list[str]
    seconds: float


class _Client:
    def __init__(self, plan: BundlePlan) -> None:
        self._plan = plan
        self._own = threading.local()

    def bundle(self, sources: Sequence[str]) -> tuple[str, float]:
        """Make a bundle; return its FQID, and when that was answered."""
        items = [self._file(source).named(f"file {number}") for number, source in enumerate(sources)]
        bundle = Version(new_uuid(), now())
        target = f"/v1/bundles/{bundle.uuid}?replica=gcp&version={bundle.version}"
        self._put(target, {"files": items, "creator_uid": 1})
        return str(bundle), time.time()

    def _file(self, source: str) -> Version:
        file = Version(new_uuid(), now())
        target = f"/v1/files/{file.uuid}?version={file.version}"
        self._put(target, {"source_url": source, "creator_uid": 1})
        return file

    def _put(self, target: str, body: dict[str, Any]) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self._plan.host, self._plan.port, timeout=60)
            self._own.connection = connection
        headers = {"Authorization": f"Bearer {self._plan.token}", "Content-Type": "application/json"}
        connection.request("PUT", target, json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"PUT {target}: {answer.status} {content[:300]!r}")


def run(plan: BundlePlan) -> BundleResult:
    """Carry out a plan; return when all of it is answered."""
    client, each = _Client(plan), plan.files_each
    portions = [plan.sources[first : first + each] for first in range(0, len(plan.sources), each)]
    began = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as threads:
        futures = []
        for number, portion in enumerate(portions):
            time.sleep(max(0.0, began + number / plan.rate - time.monotonic()))
            futures.append(threads.submit(client.bundle, portion))
    seconds = time.monotonic() - began
    failures = [str(future.exception()) for future in futures if future.exception()]
    answered = dict(future.result() for future in futures if not future.exception())
    return BundleResult(answered=answered, failures=failures, seconds=seconds)


if __name__ == "__main__":
    json.dump(asdict(run(BundlePlan(**json.load(sys.stdin)))), sys.stdout)
