"""The report of a run: parts, each of JSON lines, and a summary, in the bucket DSS_REPORTS_BUCKET.

The last line of a part is the state of the run after it. A part is written once; a step that finds it written
continues from its state, so nothing is reported twice.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.catalog import AdminRun
from shared.errors import IllegalArguments, ObjectExists, ObjectNotFound
from shared.stores.base import ObjectStore, bucket_url, read_all
from shared.system import Dss

# The member that only the last line of a part has.
_STATE = "state_of_run"


class Reports:
    """The reports bucket. Every method raises the errors of its store."""

    def __init__(self, dss: Dss) -> None:
        self._store: ObjectStore = dss.replicas.of_scheme("gs").store
        self._bucket = dss.settings.reports_bucket
        if not self._bucket:
            raise IllegalArguments("DSS_REPORTS_BUCKET is not set: the report needs a bucket")

    def check(self) -> None:
        """Return if the bucket answers."""
        self._store.check_bucket(self._bucket)

    def url(self, run: AdminRun) -> str:
        """Return the URL prefix of all objects of a run's report."""
        return bucket_url(self._store, self._bucket, _folder(run))

    def state_after(self, run: AdminRun, part: int) -> dict[str, Any] | None:
        """Return the state of the run after a part; None if the part is not written."""
        try:
            lines = self.lines(run, part)
        except ObjectNotFound:
            return None
        state: dict[str, Any] = lines[-1][_STATE]
        return state

    def lines(self, run: AdminRun, part: int) -> list[dict[str, Any]]:
        """Return all lines of a part. Raises ObjectNotFound."""
        content = read_all(self._store, self._bucket, _key(run, part))
        return [json.loads(line) for line in content.splitlines()]

    def write(
        self, run: AdminRun, part: int, lines: Iterable[bytes], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write a part, and return the state of the run after it: not `state` if it was written before."""
        content = b"".join(line + b"\n" for line in (*lines, json.dumps({_STATE: state}).encode()))
        try:
            self._store.create(self._bucket, _key(run, part), content, "application/x-ndjson")
        except ObjectExists:
            written = self.state_after(run, part)
            if written is not None:
                return written
            raise
        return dict(state)

    def conclude(self, run: AdminRun, name: str, summary: Mapping[str, Any]) -> None:
        """Write the summary, unless it is written."""
        content = json.dumps(summary, indent=1).encode() + b"\n"
        try:
            self._store.create(self._bucket, f"{_folder(run)}{name}.json", content, "application/json")
        except ObjectExists:
            return


def _folder(run: AdminRun) -> str:
    return f"runs/{run.created:%Y-%m-%d}/{run.kind}-{run.id}/"


def _key(run: AdminRun, part: int) -> str:
    # Sorts by number, for `gcloud storage cat '…/*.jsonl'`.
    return f"{_folder(run)}part-{part:06d}.jsonl"
