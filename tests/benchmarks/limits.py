"""What one caller at full speed does to the requests of another, and what checking the limits costs.

A caller asks all the time. The flood is stopped and continued in turns, so that whatever else the machine
does falls on the caller's time alone and in the flood alike.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from urllib.parse import urlsplit

from local.api import ApiProcess, api_process
from local.components import API_TABLE
from local.components.latency import delayed
from local.stack import Stack
from run.api.limits import Limits
from shared.access import Principal
from shared.config import Settings
from tests.benchmarks.contract import microseconds
from tests.benchmarks.load import Plan, Result
from tests.support.api import Api, put_file
from tests.support.clouds import Clouds

# Milliseconds before each request to a back end: those of Firestore in its own region.
LATENCY = 10
TURNS = 10
# Seconds of each turn without the flood, of its beginning, and of the rest.
PHASES: Mapping[str, float] = {"alone": 3.0, "beginning": 2.0, "flood": 4.0}
CONNECTIONS = 16
# Seconds between the requests of the other caller.
PAUSE = 0.02
_ADDRESSES = {"caller": "198.51.100.1", "flood": "198.51.100.2"}
# Budgets that are never used up: what a request costs that passes.
_SETTINGS = Settings.from_environment(
    {
        **dict.fromkeys(("GOOGLE_CLOUD_PROJECT", "OIDC_ISSUER", "OIDC_AUDIENCE"), "x"),
        **{f"DSS_{cloud}_{part}BUCKET": "x" for cloud in ("GS", "S3") for part in ("", "CHECKOUT_")},
        "DSS_TRUSTED_PROXIES": "169.254.0.0/16",
        "DSS_UNLIMITED_NETWORKS": "10.0.0.0/8",
        "DSS_PRINCIPAL_UNITS": "1000000000",
        "DSS_ADDRESS_UNITS": "1000000000",
    }
)


@dataclass
class Latencies:
    """The latencies of a caller's requests, in seconds, by phase; and what became of the flood's."""

    by_phase: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PHASES})
    served: float = 0.0
    refused: float = 0.0

    def quantile(self, phase: str, percent: int) -> float:
        """Return a percentile of a phase, in seconds."""
        return statistics.quantiles(self.by_phase[phase], n=100)[percent - 1]

    def ratio(self, phase: str) -> float:
        """Return how many times that of the caller alone the p95 of a phase is."""
        return self.quantile(phase, 95) / self.quantile("alone", 95)


def limits() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    return _section(measure_flood({})) + _cost_section()


def measure_flood(overrides: Mapping[str, str]) -> Latencies:
    """Return a caller's latencies beside a flood, with changed settings of the API. Raises LocalError."""
    settings = {"DSS_UNLIMITED_NETWORKS": None, "DSS_TRUSTED_PROXIES": "127.0.0.0/8", **overrides}
    with (
        Stack(port=0, table=delayed(API_TABLE, LATENCY)).running() as env,
        api_process(env, settings) as process,
    ):
        file = put_file(Api(process.url, env["DSS_TOKEN"]), Clouds(env).stage("gcp", b"content"))
        return _turns(process, f"/v1/files/{file.uuid}?replica=gcp&version={file.version}")


def _turns(process: ApiProcess, target: str) -> Latencies:
    # A second more than the turns, for the start of the processes.
    seconds = TURNS * sum(PHASES.values()) + 1
    with (
        _loaded(_plan(process, "flood", target, clients=CONNECTIONS, seconds=seconds)) as flood,
        _loaded(_plan(process, "caller", target, clients=1, seconds=seconds, pause=PAUSE)) as caller,
    ):
        spans = [span for _ in range(TURNS) for span in _turn(flood)]
        result, flooded = _result(caller), _result(flood)
    found = Latencies()
    for began, latency in zip(result.began, result.latencies, strict=True):
        for phase, start, end in spans:
            if start <= began < end:
                found.by_phase[phase].append(latency)
    lasted = sum(end - start for phase, start, end in spans if phase != "alone")
    found.served, found.refused = len(flooded.latencies) / lasted, flooded.refused / lasted
    return found


def _turn(flood: "subprocess.Popen[str]") -> Iterator[tuple[str, float, float]]:
    """Stop the flood, and continue it; yield each phase with its beginning and its end."""
    for phase, seconds in PHASES.items():
        os.killpg(flood.pid, signal.SIGSTOP if phase == "alone" else signal.SIGCONT)
        began = time.monotonic()
        time.sleep(seconds)
        yield phase, began, time.monotonic()


def _plan(
    process: ApiProcess, who: str, target: str, *, clients: int, seconds: float, pause: float = 0.0
) -> Plan:
    where = urlsplit(process.url)
    return Plan(
        host=where.hostname or "",
        port=where.port or 0,
        method="HEAD",
        target=target,
        headers={"X-Forwarded-For": _ADDRESSES[who]},
        body="",
        status=200,
        clients=clients,
        seconds=seconds,
        pause=pause,
        limited=not pause,
    )


@contextmanager
def _loaded(plan: Plan) -> Iterator["subprocess.Popen[str]"]:
    """Run the load generator in a process group of its own, from when every client has been answered."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as load:
        assert load.stdin
        assert load.stderr
        try:
            load.stdin.write(json.dumps(asdict(plan)))
            load.stdin.close()
            if load.stderr.readline() != "ready\n":
                raise RuntimeError(load.stderr.read())
            yield load
        finally:
            if load.poll() is None:
                os.killpg(load.pid, signal.SIGKILL)


def _result(load: "subprocess.Popen[str]") -> Result:
    assert load.stdout
    assert load.stderr
    text = load.stdout.read()
    if load.wait() != 0:
        raise RuntimeError(load.stderr.read())
    return Result(**json.loads(text))


def _section(found: Latencies) -> str:
    rows = [
        f"| {phase} | {len(latencies):,} | {1000 * found.quantile(phase, 50):.1f} "
        f"| {1000 * found.quantile(phase, 95):.1f} | {found.ratio(phase):.2f} |"
        for phase, latencies in found.by_phase.items()
    ]
    alone, beginning, rest = PHASES.values()
    return "\n".join(
        [
            "## One caller beside another at full speed",
            "",
            f"HEAD of a file version, with {LATENCY} ms before each request to Firestore; one process of the",
            f"API. One address asks every {1000 * PAUSE:.0f} ms. The flood is another, with {CONNECTIONS}",
            f"connections and no pauses: in {TURNS} turns it rests for {alone:.0f} s, begins for",
            f"{beginning:.0f} s, when it has its burst, and goes on for {rest:.0f} s. Latencies of the first",
            "are in ms.",
            "",
            "| flood | requests | p50 | p95 | x |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            f"Of the flood {found.served:,.0f} requests a second were served, {found.refused:,.0f} refused.",
            "",
        ]
    )


def _cost_section() -> str:
    """Measure the CPU time of what a request passes: the check, and the taking of its cost."""
    budgets = Limits(_SETTINGS)
    stranger = {"REMOTE_ADDR": "169.254.1.1", "HTTP_X_FORWARDED_FOR": "2001:db8::1"}
    signed_in = {**stranger, "HTTP_AUTHORIZATION": f"Bearer {'a' * 900}"}
    budgets.signed_in(signed_in, Principal(email="a@example.org"))
    rows = []
    for who, environ in (("a caller who has signed in", signed_in), ("an address", stranger)):
        check = microseconds(partial(budgets.check, environ), 5000)
        spend = microseconds(partial(budgets.spend, environ, "files.head"), 5000)
        rows.append(f"| {who} | {check:.1f} | {spend:.1f} |")
    return "\n".join(
        [
            "## What the limits cost",
            "",
            "CPU time in µs, the least of 5 rounds; a request is checked twice, and its cost is taken once.",
            "",
            "| by whom it counts | check | take |",
            "| --- | ---: | ---: |",
            *rows,
            "",
        ]
    )
