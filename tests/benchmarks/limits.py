"""What one caller at full speed does to the requests of another, and what checking the limits costs.

A caller asks all the time. Floods are stopped and continued in turns, so that other work of the machine
falls on all phases alike. One flood is at another process of the API: what it does to the caller is due to
the cores and the emulators that they share here, which in the cloud they do not.
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
from tests.benchmarks.sizes import sized
from tests.support.api import Api, put_file
from tests.support.clouds import Clouds

# Milliseconds before each request to a back end: those of Firestore in its own region.
LATENCY = 10
TURNS = sized(8, 3)
# The phases of a turn, their seconds, and where the flood is. Its budget fills in the first two, and it
# spends that burst in the third.
_PHASES: Mapping[str, tuple[float, str]] = {
    "alone": (2.0, ""),
    "another process": (2.0, "other"),
    "this process, beginning": (2.0, "this"),
    "this process": (8.0, "this"),
}
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

    by_phase: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _PHASES})
    served: float = 0.0
    refused: float = 0.0

    def quantile(self, phase: str, percent: int) -> float:
        """Return a percentile of a phase, in seconds."""
        return statistics.quantiles(self.by_phase[phase], n=100)[percent - 1]

    def ratio(self, phase: str) -> float:
        """Return how many times that of the caller alone the p95 of a phase is."""
        return self.quantile(phase, 95) / self.quantile("alone", 95)

    def beside(self) -> float:
        """Return how many times that beside a flood at another process the p95 in a flood at this one is."""
        return self.quantile("this process", 95) / self.quantile("another process", 95)


def limits() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    return _section(measure_flood({})) + _cost_section()


def measure_flood(overrides: Mapping[str, str]) -> Latencies:
    """Return a caller's latencies beside a flood, with changed settings of the API. Raises LocalError."""
    settings = {"DSS_UNLIMITED_NETWORKS": None, "DSS_TRUSTED_PROXIES": "127.0.0.0/8", **overrides}
    with (
        Stack(port=0, table=delayed(API_TABLE, LATENCY)).running() as env,
        api_process(env, settings) as process,
        api_process(env, settings) as other,
    ):
        file = put_file(Api(process.url, env["DSS_TOKEN"]), Clouds(env).stage("gcp", b"content"))
        target = f"/v1/files/{file.uuid}?replica=gcp&version={file.version}"
        return _turns(process, other, target)


def _turns(process: ApiProcess, other: ApiProcess, target: str) -> Latencies:
    # Some seconds more than the turns, for the start of the processes.
    seconds = TURNS * sum(lasting for lasting, _ in _PHASES.values()) + 3
    plan = partial(_plan, "flood", target, clients=CONNECTIONS, seconds=seconds)
    with (
        _loaded(plan(other)) as elsewhere,
        _loaded(plan(process)) as here,
        _loaded(_plan("caller", target, process, clients=1, seconds=seconds, pause=PAUSE)) as caller,
    ):
        floods = {"other": elsewhere, "this": here}
        spans = [span for _ in range(TURNS) for span in _turn(floods)]
        # For the end of its time, which it does not see while it is stopped.
        os.killpg(elsewhere.pid, signal.SIGCONT)
        result, flooded = _result(caller), _result(here)
        _result(elsewhere)
    found = Latencies()
    for began, latency in zip(result.began, result.latencies, strict=True):
        for phase, start, end in spans:
            if start <= began < end:
                found.by_phase[phase].append(latency)
    lasted = sum(end - start for phase, start, end in spans if _PHASES[phase][1] == "this")
    found.served, found.refused = len(flooded.latencies) / lasted, flooded.refused / lasted
    return found


def _turn(floods: Mapping[str, "subprocess.Popen[str]"]) -> Iterator[tuple[str, float, float]]:
    """Stop and continue the floods; yield each phase with its beginning and its end."""
    for phase, (seconds, where) in _PHASES.items():
        for name, flood in floods.items():
            os.killpg(flood.pid, signal.SIGCONT if name == where else signal.SIGSTOP)
        began = time.monotonic()
        time.sleep(seconds)
        yield phase, began, time.monotonic()


def _plan(
    who: str, target: str, process: ApiProcess, *, clients: int, seconds: float, pause: float = 0.0
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
    return "\n".join(
        [
            "## One caller beside another at full speed",
            "",
            f"HEAD of a file version, with {LATENCY} ms before each request to Firestore. One address asks",
            f"every {1000 * PAUSE:.0f} ms. A flood is another address, with {CONNECTIONS} connections and no",
            f"pauses; it is stopped and continued, {TURNS} times, and begins with a burst. One at another",
            "process of the API shows what is due to the cores and emulators that both share here. Latencies",
            "are those of the first address, in ms; x is the p95 by that of this address alone.",
            "",
            "| flood | requests | p50 | p95 | x |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            f"A flood at the same process: {found.beside():.2f} times the p95 beside one at another process.",
            f"Of the flood {found.served:,.0f} requests a second were served, {found.refused:,.0f} refused.",
            "",
            "",
        ]
    )


def _cost_section() -> str:
    """Measure the CPU time of what a request passes: the check, and the taking of its cost."""
    budgets = Limits(_SETTINGS)
    stranger = {"REMOTE_ADDR": "169.254.1.1", "HTTP_X_FORWARDED_FOR": "2001:db8::1"}
    signed_in = {**stranger, "HTTP_AUTHORIZATION": f"Bearer {'a' * 900}"}
    budgets.remember_token(signed_in, Principal(email="a@example.org"))
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
