"""Replication, checkouts and the API's requests on back ends that are near, and on some that are far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.checksums import MIB
from tests.benchmarks.checkouts import CheckoutContest
from tests.benchmarks.copies import Contest, Copied, Load
from tests.benchmarks.latency_calls import Call, measure_calls
from tests.benchmarks.latency_report import latency_sections
from tests.benchmarks.paused_stack import PausedStack, paused_stack
from tests.benchmarks.rclone import find_rclone, rclone_version
from tests.benchmarks.signing import Signing, measure_signing
from tests.benchmarks.sizes import sized
from tests.support.clouds import REPLICAS

# Before every request to GCS, S3 and Firestore, in milliseconds; and how rclone is run then. Its default is 4
# files at once. Where a request takes longer, people have it copy more.
DELAYS = {0: (), 30: ("--transfers", "32", "--checkers", "32")}

# A full run has 1,000 files, one of 1 GiB, and ten of 256 MiB.
SMALL = Load(name=f"{sized(1000, 200):,} files of 100 KiB", count=sized(1000, 200), size=100 * 1024, rounds=2)
ONE = Load(name=f"1 file of {sized(1024, 256):,} MiB", count=1, size=sized(1024, 256) * MIB, rounds=1)
TEN = Load(name=f"{sized(10, 2)} files of 256 MiB", count=sized(10, 2), size=256 * MIB, rounds=1)


@dataclass(kw_only=True)
class Delayed:
    """What was measured with one delay, in milliseconds."""

    milliseconds: int
    copies: list[Copied] = field(default_factory=list)
    checkouts: list[Copied] = field(default_factory=list)
    calls: Sequence[Call] = ()
    signing: Sequence[Signing] = ()


def latency() -> str:
    """Measure, draw the charts, and return the sections of the report. Raises LocalError."""
    find_rclone()
    return latency_sections([_measured(milliseconds) for milliseconds in DELAYS], rclone=rclone_version())


def _measured(milliseconds: int) -> Delayed:
    result = Delayed(milliseconds=milliseconds)
    with paused_stack(milliseconds) as stack:
        result.calls = measure_calls(stack.env)
        result.signing = measure_signing(stack.env, milliseconds)
        result.copies = _copies(stack, milliseconds)
        result.checkouts = _checkouts(stack, milliseconds)
    return result


def _copies(stack: PausedStack, milliseconds: int) -> list[Copied]:
    contest = Contest(stack)
    contest.warm_up()
    return [row for load in (SMALL, ONE, TEN) for row in contest.run(_against(load, milliseconds))]


def _checkouts(stack: PausedStack, milliseconds: int) -> list[Copied]:
    rows = []
    for replica in REPLICAS:
        contest = CheckoutContest(stack, replica)
        contest.warm_up()
        rows += [row for load in (SMALL, ONE) for row in contest.run(_against(load, milliseconds))]
    return rows


def _against(load: Load, milliseconds: int) -> Load:
    """Return a load that rclone copies as one does with such a delay."""
    return Load(
        name=load.name,
        count=load.count,
        size=load.size,
        rounds=load.rounds,
        rclone={"rclone": DELAYS[milliseconds]},
    )
