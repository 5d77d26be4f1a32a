"""Files from GCS to S3: by replication, and by `rclone copy`, in turns, between the same two emulators.

The events of the DSS's files wait in Pub/Sub until its turn comes. Its time is from the first of them being
handed to `sync` to the last file being available on `aws`; rclone's is from its start to its exit.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shared.checksums import MIB
from tests.benchmarks.paused_stack import PausedStack, busy_cores
from tests.benchmarks.rclone import Rclone
from tests.support.api import Api, put_file
from tests.support.clouds import Clouds
from tests.support.large_objects import stage_large, write_numbered_blocks

_THREADS = 8
_LONGEST_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load to copy: objects of one size, in some rounds.

    `rclone` are the ways to run rclone, by name. Its defaults are 4 files, or 4 parts of 5 MiB, at once; 32
    files, or parts of 64 MiB, were measured to make no difference beyond that from round to round.
    """

    name: str
    count: int
    size: int
    rounds: int
    rclone: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"rclone": ()})


@dataclass(frozen=True, kw_only=True)
class Copied:
    """One round of one contestant: the `seconds` that it took, and the `cores` that each process used."""

    load: Load
    who: str
    round: int
    seconds: float
    cores: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.load.name}, round {self.round}: {self.who} {self.seconds:.1f} s {dict(self.cores)}"


class Contest:
    """Replication and rclone on one running system."""

    def __init__(self, stack: PausedStack) -> None:
        self._stack = stack
        self._api = Api(stack.env["DSS_URL"], stack.env["DSS_TOKEN"])
        self._clouds = Clouds(stack.env)
        self._rclone = Rclone(stack.env)

    def warm_up(self) -> None:
        """Let all processes open their connections."""
        self._replicated([self._clouds.stage("gcp", os.urandom(1024)) for _ in range(64)])

    def run(self, load: Load) -> list[Copied]:
        """Return the figures of each round; the first of one round is last in the next."""
        sources = self._staged(load)
        figures = []
        for number in range(1, load.rounds + 1):
            contestants = ["DSS", *load.rclone]
            for who in contestants if number % 2 else reversed(contestants):
                row = self._one(load, who, number, sources)
                print(row, flush=True)
                figures.append(row)
        return figures

    def _one(self, load: Load, who: str, number: int, sources: Sequence[str]) -> Copied:
        if who == "DSS":
            seconds, cores = self._replicated(sources)
            self._remove_from_s3(self._clouds.main["aws"], "blobs/")
        else:
            prefix = f"{load.count}-{load.size}/"
            before, began = self._stack.cpu(), time.monotonic()
            seconds = self._rclone.copy(
                f"gcs:{self._clouds.staging['gcp']}/{prefix}",
                f"s3:{self._clouds.staging['aws']}/{prefix}",
                *load.rclone[who],
                # After an upload in parts rclone asks for `versionId=null`, to which moto answers 400.
                *(("--s3-no-head",) if load.size > 64 * MIB else ()),
            )
            cores = busy_cores(before, self._stack.cpu(), time.monotonic() - began)
            self._check(load, prefix)
            self._remove_from_s3(self._clouds.staging["aws"], prefix)
        return Copied(load=load, who=who, round=number, seconds=seconds, cores=cores)

    def _replicated(self, sources: Sequence[str]) -> tuple[float, Mapping[str, float]]:
        """Make files of source objects, then push their events; return the seconds from there."""
        log = self._stack.sync_log()
        with ThreadPoolExecutor(_THREADS) as threads:
            files = list(threads.map(lambda source: put_file(self._api, source), sources))
        keys = [f"files/{file}" for file in files]
        before, handed = self._stack.cpu(), time.monotonic()
        with self._stack.pushed():
            if not log.wait_for(keys, replica="aws", seconds=_LONGEST_SECONDS):
                raise RuntimeError(f"not replicated within {_LONGEST_SECONDS} s: {log.failures[:3]}")
            cores = busy_cores(before, self._stack.cpu(), time.monotonic() - handed)
        began = min(log.done[key].began for key in keys)
        return max(log.done[key].ended for key in keys) - began, cores

    def _staged(self, load: Load) -> list[str]:
        """Put source objects into GCS, under one prefix; return their URLs."""
        prefix = f"{load.count}-{load.size}/"
        if load.size > 64 * MIB:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "large"
                checksums = write_numbered_blocks(path, load.size)
                url = stage_large(self._clouds, "gcp", path, checksums)
            # Where rclone looks for it.
            bucket = self._clouds.gcs.bucket(self._clouds.staging["gcp"])
            key = urlsplit(url).path[1:]
            bucket.rename_blob(bucket.blob(key), f"{prefix}large")
            return [f"gs://{bucket.name}/{prefix}large"]

        def stage(number: int) -> str:
            return self._clouds.stage("gcp", os.urandom(load.size), key=f"{prefix}{number:06d}")

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(stage, range(load.count)))

    def _check(self, load: Load, prefix: str) -> None:
        pages = self._clouds.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._clouds.staging["aws"], Prefix=prefix
        )
        sizes = [item["Size"] for page in pages for item in page.get("Contents", [])]
        if sizes != [load.size] * load.count:
            raise RuntimeError(f"rclone copied {len(sizes)} objects, {sum(sizes)} bytes")

    def _remove_from_s3(self, bucket: str, prefix: str) -> None:
        """Give back moto's memory. The next round copies everything again."""
        pages = self._clouds.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if keys:
                self._clouds.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
