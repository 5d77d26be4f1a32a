"""What one caller at full speed does to the requests of another, and what checking the limits costs."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
ROUNDS = 5
# Seconds of a measurement. A flood's budget is used up after the first.
SECONDS = 8.0
CONNECTIONS = 8
# Seconds between the requests of the other caller.
PAUSE = 0.02
# A budget that is never used up: what a request costs that passes.
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
_ADDRESSES = {"caller": "198.51.100.1", "flood": "198.51.100.2"}


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The p95 of a caller's HEADs, in seconds: alone, as a flood begins, and while it goes on."""

    alone: float
    beginning: float
    flooded: float
    served: float
    refused: float

    def __str__(self) -> str:
        times = "  ".join(
            f"{1000 * seconds:6.1f} ms" for seconds in (self.alone, self.beginning, self.flooded)
        )
        rates = f"flood: {self.served:5.0f}/s served, {self.refused:6.0f}/s refused"
        return f"p95 alone, at the beginning, in the flood: {times}  ratio {self.ratio:.2f}  {rates}"

    @property
    def ratio(self) -> float:
        """By how much the flood raises the p95."""
        return self.flooded / self.alone


def limits() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    settings = {"DSS_UNLIMITED_NETWORKS": None, "DSS_TRUSTED_PROXIES": "127.0.0.0/8"}
    with (
        Stack(port=0, table=delayed(API_TABLE, LATENCY)).running() as env,
        api_process(env, settings) as process,
    ):
        file = put_file(Api(process.url, env["DSS_TOKEN"]), Clouds(env).stage("gcp", b"content"))
        target = f"/v1/files/{file.uuid}?replica=gcp&version={file.version}"
        turns = [_turn(process, target) for _ in range(ROUNDS)]
    return _section(turns) + _cost_section()


def _turn(process: ApiProcess, target: str) -> Turn:
    caller = _plan(process, "caller", target, clients=1, seconds=SECONDS, pause=PAUSE)
    # Meanwhile the budget of the flood of the turn before fills.
    alone = _result(_started(caller))
    flood = _plan(process, "flood", target, clients=CONNECTIONS, seconds=3 * SECONDS)
    flooding = _started(flood)
    beginning = _result(_started(caller))
    flooded = _result(_started(caller))
    sent = _result(flooding)
    turn = Turn(
        alone=_p95(alone),
        beginning=_p95(beginning),
        flooded=_p95(flooded),
        served=len(sent.latencies) / sent.seconds,
        refused=sent.refused / sent.seconds,
    )
    print(turn, flush=True)
    return turn


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


def _started(plan: Plan) -> "subprocess.Popen[str]":
    """Start the load generator, and return once every client has been answered."""
    load = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert load.stdin
    assert load.stderr
    load.stdin.write(json.dumps(asdict(plan)))
    load.stdin.close()
    if load.stderr.readline() != "ready\n":
        raise RuntimeError(load.stderr.read())
    return load


def _result(load: "subprocess.Popen[str]") -> Result:
    with load:
        assert load.stdout
        assert load.stderr
        text = load.stdout.read()
        if load.wait() != 0:
            raise RuntimeError(load.stderr.read())
    return Result(**json.loads(text))


def _p95(result: Result) -> float:
    return statistics.quantiles(result.latencies, n=20)[-1]


def _section(turns: Sequence[Turn]) -> str:
    rows = [
        f"| {number} | {1000 * turn.alone:.1f} | {1000 * turn.beginning:.1f} | {1000 * turn.flooded:.1f} "
        f"| {turn.ratio:.2f} | {turn.served:,.0f} | {turn.refused:,.0f} |"
        for number, turn in enumerate(turns, 1)
    ]
    ratio = statistics.median(turn.ratio for turn in turns)
    return "\n".join(
        [
            "## One caller beside another at full speed",
            "",
            f"HEAD of a file version, with {LATENCY} ms before each request to Firestore; one process of the",
            f"API. One address asks every {1000 * PAUSE:.0f} ms. The flood is another, with {CONNECTIONS}",
            "connections and no pauses. The p95 in ms: of the first alone, in the flood's first",
            f"{SECONDS:.0f} s, and in the next, when the flood is at its limit.",
            "",
            "| turn | alone | beginning | flood | x | served/s | refused/s |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            f"In the median the flood raises the p95 to {ratio:.2f} times that of the caller alone.",
            "",
        ]
    )


def _cost_section() -> str:
    """Measure the CPU time of what a request passes: the check in the event loop, and the one that takes."""
    budgets = Limits(_SETTINGS)
    signed_in = {"REMOTE_ADDR": "169.254.1.1", "HTTP_X_FORWARDED_FOR": "2001:db8::1"}
    signed_in["HTTP_AUTHORIZATION"] = f"Bearer {'a' * 900}"
    budgets.signed_in(signed_in, Principal(email="a@example.org"))
    stranger = {name: text for name, text in signed_in.items() if name != "HTTP_AUTHORIZATION"}
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
