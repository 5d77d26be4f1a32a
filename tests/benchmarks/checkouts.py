"""Checkouts within each cloud, and `rclone copy` within the same cloud, in turns, on one running system."""

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from boto3.s3.transfer import TransferConfig

from shared.checksums import MIB, Checksums, part_size
from tests.benchmarks.copies import LARGE, Copied, Load
from tests.benchmarks.paused_stack import PausedStack, spent
from tests.benchmarks.rclone import Rclone
from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.checkouts import check_out, checkout_status
from tests.support.clouds import Clouds
from tests.support.large_objects import stage_large, write_numbered_blocks

_THREADS = 8
_LONGEST_SECONDS = 180
# Seconds between two looks at a job; half of it is the error of what is measured.
_POLL_SECONDS = 0.02
_REMOTES = {"gcp": "gcs", "aws": "s3"}


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
                before = self._stack.cpu()
                seconds = self._check_out(bundle) if who == "DSS" else self._copy(load)
                cpu = spent(before, self._stack.cpu())
                row = Copied(load=self._named(load), who=who, round=number, seconds=seconds, cpu=cpu)
                print(row, flush=True)
                self._require(load)
                figures.append(row)
        self._empty()
        return figures

    def _named(self, load: Load) -> Load:
        name = f"{load.name}, {self._replica}"
        return replace(load, name=name)

    def _staged(self, load: Load) -> list[str]:
        """Put source objects into the staging bucket, under one prefix; return their URLs."""
        if load.size > LARGE:
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / "large"
                checksums = write_numbered_blocks(path, load.size)
                # And its blob: content that is there need not be verified.
                self._upload(path, checksums)
                return [stage_large(self._clouds, self._replica, path, checksums)]

        def stage(number: int) -> str:
            key = f"{load.count}-{load.size}/{number:06d}"
            return self._clouds.stage(self._replica, os.urandom(load.size), key=key)

        with ThreadPoolExecutor(_THREADS) as threads:
            return list(threads.map(stage, range(load.count)))

    def _upload(self, path: Path, checksums: Checksums) -> None:
        """Put a blob into the main bucket, in the parts of its `s3_etag`."""
        bucket, key = self._clouds.main[self._replica], checksums.blob_key
        if self._replica == "gcp":
            self._clouds.gcs.bucket(bucket).blob(key).upload_from_filename(str(path))
            return
        part = part_size(path.stat().st_size)
        config = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=2)
        self._clouds.s3.upload_file(str(path), bucket, key, Config=config)

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
            *load.rclone["rclone"],
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
