"""The report of a run: parts, each of JSON lines, and a summary, in the bucket DSS_REPORTS_BUCKET.

The last line of a part is the state of the run after it. A part is written once; a step that finds it written
continues from its state, so nothing is reported twice. Parts have numbers, or names.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from shared.errors import IllegalArguments, ObjectExists, ObjectNotFound
from shared.stores.base import ObjectStore, bucket_url, read_range
from shared.system import Dss

# The member that only the last line of a part has.
STATE = "state_of_run"


class Reported(Protocol):
    """What has a report: a run, or an import."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def kind(self) -> str:
        """What it is."""
        ...

    @property
    def created(self) -> datetime:
        """When it was begun."""
        ...


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

    def url(self, run: Reported) -> str:
        """Return the URL prefix of all objects of a run's report."""
        return bucket_url(self._store, self._bucket, _folder(run))

    def state_after(self, run: Reported, part: int | str) -> dict[str, Any] | None:
        """Return the state of the run after a part; None if the part is not written."""
        try:
            lines = self.lines(run, part)
        except ObjectNotFound:
            return None
        state: dict[str, Any] = lines[-1][STATE]
        return state

    def lines(self, run: Reported, part: int | str) -> list[dict[str, Any]]:
        """Return all lines of a part. Raises ObjectNotFound."""
        content = self._store.read_all(self._bucket, _key(run, part))
        return [json.loads(line) for line in content.splitlines()]

    def read(self, run: Reported, part: int | str, first: int, size: int) -> bytes:
        """Return some bytes of a part. Raises ObjectNotFound."""
        return self.window(run, part, first, size)[0]

    def window(self, run: Reported, part: int | str, first: int, size: int) -> tuple[bytes, int]:
        """Return up to `size` bytes of a part from `first` on, and how long it is. Raises ObjectNotFound."""
        found = self._store.stat(self._bucket, _key(run, part))
        size = min(size, found.size - first)
        return (read_range(self._store, found, first, size) if size > 0 else b""), found.size

    def write(
        self, run: Reported, part: int | str, lines: Iterable[bytes], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write a part, and return the state of the run after it: not `state` if it was written before."""
        content = b"".join(line + b"\n" for line in (*lines, json.dumps({STATE: state}).encode()))
        try:
            self._store.create(self._bucket, _key(run, part), content, "application/x-ndjson")
        except ObjectExists:
            written = self.state_after(run, part)
            if written is not None:
                return written
            raise
        return dict(state)

    def conclude(self, run: Reported, name: str, summary: Mapping[str, Any]) -> None:
        """Write the summary, unless it is written."""
        content = json.dumps(summary, indent=1).encode() + b"\n"
        try:
            self._store.create(self._bucket, f"{_folder(run)}{name}.json", content, "application/json")
        except ObjectExists:
            return


def as_line(line: Mapping[str, Any]) -> bytes:
    """Return a line of a report, without its end; text that is no Unicode stays as it is."""
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _folder(run: Reported) -> str:
    return f"runs/{run.created:%Y-%m-%d}/{run.kind}-{run.id}/"


def _key(run: Reported, part: int | str) -> str:
    # Sorts by number, for `gcloud storage cat '…/*.jsonl'`.
    name = f"part-{part:06d}" if isinstance(part, int) else part
    return f"{_folder(run)}{name}.jsonl"
