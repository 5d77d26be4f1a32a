"""Replications, read from the log of the function `sync`, so that measuring costs the system nothing."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

# Seconds between two looks.
_POLL = 0.05


@dataclass(frozen=True, kw_only=True)
class Done:
    """An object that became available on a replica; `sync` received its event at `began`.

    Both are seconds since 1970 by this machine's clock, as `time.time` has them.
    """

    began: float
    ended: float


class SyncLog:
    """The log of a running `sync`, from here on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size
        self.done: dict[str, Done] = {}
        # Keys of bundle manifests whose event came before their files, and was delivered again.
        self.retried: set[str] = set()
        self.failures: list[str] = []

    def wait_for(self, keys: Collection[str], *, replica: str, seconds: float) -> bool:
        """Return whether all the keys became available on a replica within so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            self._read(replica)
            if all(key in self.done for key in keys):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)

    def _read(self, replica: str) -> None:
        with self._path.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            if line.startswith(b"{"):
                self._note(json.loads(line), replica)

    def _note(self, row: dict[str, Any], replica: str) -> None:
        if row.get("message") == "replicated" and row["replica"] == replica:
            ended = datetime.fromisoformat(row["time"]).timestamp()
            # What is done twice was available the first time.
            self.done.setdefault(row["key"], Done(began=ended - row["seconds"], ended=ended))
        elif row.get("message") in ("to be tried again", "dead letter"):
            kind, _, rest = row["reason"].partition(" ")
            if kind == "bundle" and "not on" in rest:
                self.retried.add(f"bundles/{rest.partition(':')[0]}")
            else:
                self.failures.append(row["reason"])
