"""Runs of Locust without its page: the statistics of a script, as rows of its CSV files."""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

Rows = Sequence[Mapping[str, str]]
SCRIPTS = Path(__file__).parents[1] / "load"


def run_locust(
    script: str, url: str, *, users: int, seconds: float, environment: Mapping[str, str]
) -> tuple[Rows, Rows]:
    """Return Locust's statistics: a row for each request, and one for each second of all of them."""
    with tempfile.TemporaryDirectory() as directory:
        prefix = Path(directory) / "load"
        command = [
            *(sys.executable, "-m", "locust", "--locustfile", str(SCRIPTS / script), "--host", url),
            *("--headless", "--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds:g}s"),
            *("--csv", str(prefix), "--only-summary"),
        ]
        # It ends with 1 if a request has failed, which the report says.
        ended = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
        files = [prefix.with_name(f"load_{name}.csv") for name in ("stats", "stats_history")]
        if not all(each.is_file() for each in files):
            raise RuntimeError(f"Locust: {ended.stderr[-2000:]}")
        rows, history = (list(csv.DictReader(each.read_text().splitlines())) for each in files)
        return rows, history
