"""Offer three times what the API can serve, and see what it serves: `python -m tests.chaos.capacity`.

The highest rate is what clients get answered who each wait for their answer before they ask again, at the
best number of them. Then requests come three times as often, whether they are answered or not.

The API has a core, and clients and back ends have the others, as they have machines of their own in a
deployment: otherwise three times as many requests would take time from the API for being sent.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from local.components import API_TABLE
from local.stack import Stack
from tests.benchmarks.processes import descendants, pin
from tests.chaos.offered import Offer
from tests.support.api import Api, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.topics import make_topics

# Clients that wait for their answers, of which the best number counts; seconds of each measurement.
_CLIENTS = (8, 16, 32, 64)
_SECONDS = 8.0
_BEYOND = 3
# The share of the highest rate that has to be served.
TARGET = 0.8
_REFUSED = (429, 503)


@dataclass(frozen=True)
class Served:
    """What became of requests: so many offered, and answers by status, all a second."""

    offered: float
    answers: Mapping[str, float]
    latencies: Mapping[str, list[float]]
    without_retry_after: int

    @property
    def rate(self) -> float:
        """How many were served, a second."""
        return self.answers.get("200", 0.0)

    def row(self, name: str) -> str:
        """Return a row of the table."""
        refused = sum(self.answers.get(str(status), 0.0) for status in _REFUSED)
        others = sum(self.answers.values()) - self.rate - refused
        times = (self._median("200"), self._median(*map(str, _REFUSED)))
        return (
            f"| {name} | {self.offered:.0f} | {self.rate:.0f} | {refused:.0f} | {others:.0f} "
            f"| {times[0]} | {times[1]} | {self.without_retry_after} |"
        )

    def _median(self, *statuses: str) -> str:
        found = [each for status in statuses for each in self.latencies.get(status, [])]
        return f"{statistics.median(found) * 1000:.0f}" if found else ""


def main() -> int:
    """Return 0 if enough is served, and all that is not is refused with `Retry-After`; else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.capacity", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the load beyond capacity")
    arguments = parser.parse_args()
    with Stack(port=0, table=API_TABLE, api_workers=1).running() as env:
        make_topics(env, "bundle-changes")
        offer = _targets(env)
        _set_apart()
        _print_head()
        best = 0.0
        for clients in _CLIENTS:
            served = measure(offer, seconds=_SECONDS, clients=clients)
            print(served.row(f"{clients} clients that wait"), flush=True)
            best = max(best, served.rate)
        beyond = measure(offer, seconds=arguments.seconds, rate=_BEYOND * best)
        print(beyond.row(f"{_BEYOND} times the highest rate"), flush=True)
        after = measure(offer, seconds=_SECONDS, clients=16)
        print(after.row("16 clients that wait, afterwards"), flush=True)
    share = beyond.rate / best
    print(f"\n{share:.0%} of the highest rate is served at {_BEYOND} times of it; the target is {TARGET:.0%}")
    return 0 if share >= TARGET and not beyond.without_retry_after else 1


def _set_apart() -> None:
    """Give the API a core, and everything else that this process has started, and itself, the others."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        sys.exit("capacity is measured with two cores or more: one for the API, and one for its clients")
    pin(os.getpid(), others)
    pin(descendants({"[api]": "API"})["API"], {first})


def _print_head() -> None:
    columns = (
        "",
        "offered/s",
        "served/s",
        "refused/s",
        "other/s",
        "ms served",
        "ms refused",
        "no Retry-After",
    )
    print(f"| {' | '.join(columns)} |\n| --- |{' ---: |' * (len(columns) - 1)}", flush=True)


def _targets(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of an offer of reads: of a bundle, and of its newest version."""
    api, clouds = Api(env["DSS_URL"], env["DSS_TOKEN"]), Clouds(env)
    file = put_file(api, clouds.stage("gcp", b"content"))
    bundle = put_bundle(api, "gcp", [file.named("name")])
    path = f"/v1/bundles/{bundle.uuid}?replica=gcp"
    parts = urlsplit(env["DSS_URL"])
    return {
        "host": parts.hostname,
        "port": parts.port,
        "targets": [f"{path}&version={bundle.version}"],
        "headers": {"Authorization": f"Bearer {env['DSS_TOKEN']}"},
    }


def measure(offer: Mapping[str, Any], **more: Any) -> Served:
    """Return what becomes of an offer, from a process of its own."""
    plan = Offer(**offer, **more)
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.offered"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    return Served(
        offered=found["offered"] / plan.seconds,
        answers={status: count / plan.seconds for status, count in found["statuses"].items()},
        latencies=found["latencies"],
        without_retry_after=found["without_retry_after"],
    )


if __name__ == "__main__":
    sys.exit(main())
