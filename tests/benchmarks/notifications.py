"""How long subscribers wait for a notification, alone and beside others that misbehave."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from local.issuer.client import request_token
from local.stack import Stack
from tests.benchmarks.lag import percentile
from tests.support.api import Api, Version, new_uuid, now, put_bundle
from tests.support.subscriber import Subscriber, subscriber

SUBSCRIPTIONS = 100
MISBEHAVING = 20
# What they do: words of the subscriber's paths.
MISBEHAVIOURS = ("hang", "500", "redirect", "reset")
BUNDLES = 20
# Seconds between two bundles: one event is a hundred notifications.
PAUSE = 0.5
# Seconds to wait for what has not come when all bundles are there.
_DRAIN_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Waits:
    """The result of a round: seconds from PUT's answer to a notification, for subscribers that behave."""

    misbehaving: int
    expected: int
    arrived: int
    p50: float
    p95: float
    longest: float


def _round(env: dict[str, str], server: Subscriber, misbehaving: int) -> Waits:
    # Somebody new: nobody may have more than a hundred subscriptions.
    api = Api(env["DSS_URL"], request_token(env, f"{new_uuid()}@example.org", "dss"))
    uuid, run = new_uuid(), new_uuid()
    bad = [f"/{MISBEHAVIOURS[number % len(MISBEHAVIOURS)]}/{run}/{number}" for number in range(misbehaving)]
    good = [f"/ok/{run}/{number}" for number in range(SUBSCRIPTIONS - misbehaving)]
    wanted = {"jmespath_query": f"bundle_info.uuid == '{uuid}'"}
    for path in (*bad, *good):
        body = {"callback_url": server.url(path), **wanted}
        api.put("/v1/subscriptions", replica="gcp", json=body).raise_for_status()
    answered = {}
    for _ in range(BUNDLES):
        version = put_bundle(api, "gcp", [], bundle=Version(uuid, now())).version
        answered[version] = time.monotonic()
        time.sleep(PAUSE)
    waits = _waits(server, good, answered)
    return Waits(
        misbehaving=misbehaving,
        expected=len(good) * BUNDLES,
        arrived=len(waits),
        p50=percentile(waits, 50),
        p95=percentile(waits, 95),
        longest=waits[-1],
    )


def _waits(server: Subscriber, paths: Sequence[str], answered: dict[str, float]) -> list[float]:
    """Return the seconds that each notification took, shortest first."""
    mine, deadline = set(paths), time.monotonic() + _DRAIN_SECONDS
    came: dict[tuple[str, str], float] = {}
    while len(came) < len(paths) * len(answered) and time.monotonic() < deadline:
        for call in list(server.calls):
            if call.path in mine:
                came.setdefault((call.path, call.json["match"]["bundle_version"]), call.came)
        time.sleep(0.2)
    # The event may be faster than the answer.
    return sorted(max(0.0, at - answered[version]) for (_, version), at in came.items())


def notifications() -> str:
    """Measure, and return a section of the report."""
    with Stack(port=0).running() as env, subscriber() as server:
        # One notification first, so that no process starts while it is measured.
        rounds = [_round(env, server, misbehaving) for misbehaving in (0, 0, MISBEHAVING)][1:]
    rows = [
        f"| {row.misbehaving} | {row.arrived} of {row.expected} "
        f"| {row.p50:.2f} | {row.p95:.2f} | {row.longest:.2f} |"
        for row in rounds
    ]
    alone, beside = rounds
    return "\n".join(
        [
            "## Notifications",
            "",
            f"{SUBSCRIPTIONS} subscriptions that all match, {BUNDLES} bundles, one each {PAUSE:g} s: so many",
            "notifications of those that behave well arrived, so many seconds after PUT's answer. The others",
            f"({', '.join(MISBEHAVIOURS)}) do so for as long as it takes.",
            "",
            "| misbehaving | arrived | p50 s | p95 s | longest s |",
            "| ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            f"Beside {beside.misbehaving} that misbehave the median is {beside.p50 / alone.p50:.1f} times",
            f"that without, the 95th percentile {beside.p95 / alone.p95:.1f} times.",
            "",
        ]
    )
