"""Checkouts within each cloud, and `rclone copy` within the same cloud, in turns, on one running system."""

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from shared.checksums import MIB
from tests.benchmarks.copies import Copied, Load
from tests.benchmarks.paused_stack import PausedStack, busy_cores, paused_stack
from tests.benchmarks.rclone import Rclone, find_rclone
from tests.benchmarks.replication_report import ratios, table_of_copies
from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.checkouts import check_out, checkout_status
from tests.support.clouds import REPLICAS, Clouds
from tests.support.large_objects import stage_large, write_numbered_blocks

LOADS = (
    Load(name="1,000 files of 100 KiB", count=1000, size=100 * 1024, rounds=2),
    Load(name="1 file of 1 GiB", count=1, size=1024 * MIB, rounds=2),
)
_THREADS = 8
_LONGEST_SECONDS = 180
# Seconds between two looks at a job; half of it is the error of what is measured.
_POLL_SECONDS = 0.05
_REMOTES = {"gcp": "gcs", "aws": "s3"}

_ABOUT = """\
A bundle to the DSS checkout bucket, and `rclone copy` of the same objects to the same bucket, within one
cloud, on one running system, in turns. The bucket is emptied before each round.

- The DSS: timed is from POST /bundles/{uuid}/checkout to the first answer that says SUCCEEDED, the start of
  the workflow included; every copy is proved by its checksums.
- rclone: timed is from start to exit. It lists both sides and has the store copy; nothing is proved.
"""


class CheckoutContest:
    """Checkouts and rclone within one cloud of a running system."""

    def __init__(self, stack: PausedStack, replica: str) -> None:
        self._stack = stack
        self._replica = replica
        self._api = Api(stack.env["DSS_URL"], stack.env["DSS_TOKEN"])
        self._clouds = Clouds(stack.env)
        self._rclone = Rclone(stack.env)

    def warm_up(self) -> None:
        """Let all processes open their connections."""
        sources = [self._clouds.stage(self._replica, os.urandom(1024)) for _ in range(8)]
        self._check_out(self._bundle(sources))

    def run(self, load: Load) -> list[Copied]:
        """Return the figures of each round; the first of one round is last in the next."""
        sources = self._staged(load)
        bundle = self._bundle(sources)
        figures = []
        for number in range(1, load.rounds + 1):
            contestants = ["DSS", "rclone"]
            for who in contestants if number % 2 else reversed(contestants):
                self._empty()
                before, began = self._stack.cpu(), time.monotonic()
                seconds = self._check_out(bundle) if who == "DSS" else self._copy(load)
                cores = busy_cores(before, self._stack.cpu(), time.monotonic() - began)
                row = Copied(load=self._named(load), who=who, round=number, seconds=seconds, cores=cores)
                print(row, flush=True)
                self._require(load)
                figures.append(row)
        self._empty()
        return figures

    def _named(self, load: Load) -> Load:
        name = f"{load.name}, {self._replica}"
        return Load(name=name, count=load.count, size=load.size, rounds=load.rounds)

    def _staged(self, load: Load) -> list[str]:
        """Put source objects into the staging bucket, under one prefix; return their URLs."""
        if load.size > 64 * MIB:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "large"
                checksums = write_numbered_blocks(path, load.size)
                return [stage_large(self._clouds, self._replica, path, checksums)]

        def stage(number: int) -> str:
            key = f"{load.count}-{load.size}/{number:06d}"
            return self._clouds.stage(self._replica, os.urandom(load.size), key=key)

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(stage, range(load.count)))

    def _bundle(self, sources: Sequence[str]) -> Version:
        with ThreadPoolExecutor(_THREADS) as threads:
            files = list(threads.map(lambda source: put_file(self._api, source), sources))
        self._prefix = urlsplit(sources[0]).path[1:].rpartition("/")[0]
        return put_bundle(
            self._api, self._replica, [file.named(f"{number:06d}") for number, file in enumerate(files)]
        )

    def _check_out(self, bundle: Version) -> float:
        began = time.monotonic()
        job_id = check_out(self._api, self._replica, bundle)
        while (found := checkout_status(self._api, self._replica, job_id))["status"] == "RUNNING":
            if time.monotonic() > began + _LONGEST_SECONDS:
                raise RuntimeError(f"not checked out within {_LONGEST_SECONDS} s: {found}")
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - began
        if found["status"] != "SUCCEEDED":
            raise RuntimeError(f"not checked out: {found}")
        return seconds

    def _copy(self, load: Load) -> float:
        remote, bucket = _REMOTES[self._replica], self._clouds.checkout[self._replica]
        return self._rclone.copy(
            f"{remote}:{self._clouds.staging[self._replica]}/{self._prefix}/",
            f"{remote}:{bucket}/rclone/",
            # After a copy in parts rclone asks for `versionId=null`, to which moto answers 400.
            *(("--s3-no-head",) if load.size > 64 * MIB else ()),
        )

    def _objects(self) -> list[tuple[str, int]]:
        bucket = self._clouds.checkout[self._replica]
        if self._replica == "gcp":
            return [(blob.name, blob.size) for blob in self._clouds.gcs.list_blobs(bucket)]
        pages = self._clouds.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [(item["Key"], item["Size"]) for page in pages for item in page.get("Contents", [])]

    def _require(self, load: Load) -> None:
        sizes = [size for _, size in self._objects()]
        if sizes != [load.size] * load.count:
            raise RuntimeError(f"{len(sizes)} objects of {sum(sizes)} bytes were copied")

    def _empty(self) -> None:
        bucket = self._clouds.checkout[self._replica]
        keys = [key for key, _ in self._objects()]
        if self._replica == "gcp":
            with ThreadPoolExecutor(_THREADS) as threads:
                list(threads.map(lambda key: self._clouds.gcs.bucket(bucket).blob(key).delete(), keys))
            return
        for start in range(0, len(keys), 1000):
            rows = [{"Key": key} for key in keys[start : start + 1000]]
            self._clouds.s3.delete_objects(Bucket=bucket, Delete={"Objects": rows})


def checkouts() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    find_rclone()
    figures = []
    with paused_stack() as stack:
        for replica in REPLICAS:
            contest = CheckoutContest(stack, replica)
            contest.warm_up()
            for load in LOADS:
                figures += contest.run(load)
    return "\n".join(
        ["## Checkout beside rclone", "", _ABOUT, *table_of_copies(figures), "", *ratios(figures), ""]
    )
