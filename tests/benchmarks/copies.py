"""Files from GCS to S3: by replication, and by `rclone copy`, in turns, between the same two emulators.

The events of the DSS's files wait in Pub/Sub until its turn comes. Its time is from the first of them being
handed to `sync` to the last file being available on `aws`; rclone's is from its start to its exit.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shared.checksums import MIB
from tests.benchmarks.paused_stack import PausedStack, spent
from tests.benchmarks.rclone import Rclone
from tests.support.api import Api, put_file
from tests.support.clouds import Clouds
from tests.support.large_objects import stage_large, write_numbered_blocks

# What is larger would be verified by the copy workflow; it is not staged from memory.
LARGE = 16 * MIB
_THREADS = 8
_LONGEST_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load to copy: objects of one size, in some rounds.

    `rclone` are the ways to run rclone, by name. Its defaults are 4 files, or 4 parts of 5 MiB, at once.
    """

    name: str
    count: int
    size: int
    rounds: int
    rclone: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"rclone": ()})


@dataclass(frozen=True, kw_only=True)
class Copied:
    """One round of one contestant: the `seconds` that it took, and the CPU seconds that each process had."""

    load: Load
    who: str
    round: int
    seconds: float
    cpu: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.load.name}, round {self.round}: {self.who} {self.seconds:.1f} s {dict(self.cores)}"

    @property
    def cores(self) -> Mapping[str, float]:
        """How many cores each process used; those below 0.05 are left out."""
        return {name: used / self.seconds for name, used in self.cpu.items() if used >= 0.05 * self.seconds}


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
            seconds, cpu = self._replicated(sources)
            self._remove_from_s3(self._clouds.main["aws"], "blobs/")
        else:
            prefix = f"{load.count}-{load.size}/"
            before = self._stack.cpu()
            seconds = self._rclone.copy(
                f"gcs:{self._clouds.staging['gcp']}/{prefix}",
                f"s3:{self._clouds.staging['aws']}/{prefix}",
                *load.rclone[who],
                # After an upload in parts rclone asks for `versionId=null`, to which moto answers 400.
                *(("--s3-no-head",) if load.size > 64 * MIB else ()),
            )
            cpu = spent(before, self._stack.cpu())
            self._check(load, prefix)
            self._remove_from_s3(self._clouds.staging["aws"], prefix)
        return Copied(load=load, who=who, round=number, seconds=seconds, cpu=cpu)

    def _replicated(self, sources: Sequence[str]) -> tuple[float, Mapping[str, float]]:
        """Make files of source objects, then push their events; return the seconds from there."""
        log = self._stack.sync_log()
        with ThreadPoolExecutor(_THREADS) as threads:
            files = list(threads.map(lambda source: put_file(self._api, source), sources))
        keys = [f"files/{file}" for file in files]
        before = self._stack.cpu()
        with self._stack.pushed():
            if not log.wait_for(keys, replica="aws", seconds=_LONGEST_SECONDS):
                raise RuntimeError(f"not replicated within {_LONGEST_SECONDS} s: {log.failures[:3]}")
            cpu = spent(before, self._stack.cpu())
        began = min(log.done[key].began for key in keys)
        return max(log.done[key].ended for key in keys) - began, cpu

    def _staged(self, load: Load) -> list[str]:
        """Put source objects into GCS, under one prefix; return their URLs."""
        prefix = f"{load.count}-{load.size}/"
        if load.size > LARGE:
            return [self._staged_large(load, f"{prefix}{number:06d}") for number in range(load.count)]

        def stage(number: int) -> str:
            return self._clouds.stage("gcp", os.urandom(load.size), key=f"{prefix}{number:06d}")

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(stage, range(load.count)))

    def _staged_large(self, load: Load, key: str) -> str:
        """Put a source object into GCS where rclone looks for it, and its blob beside it; return its URL.

        So a PUT is answered at once: the content need not be verified, which would send it on to S3.
        """
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "large"
            checksums = write_numbered_blocks(path, load.size, seed=key)
            url = stage_large(self._clouds, "gcp", path, checksums)
        bucket = self._clouds.gcs.bucket(self._clouds.staging["gcp"])
        blob = bucket.rename_blob(bucket.blob(urlsplit(url).path[1:]), key)
        bucket.copy_blob(blob, self._clouds.gcs.bucket(self._clouds.main["gcp"]), checksums.blob_key)
        return f"gs://{bucket.name}/{key}"

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
