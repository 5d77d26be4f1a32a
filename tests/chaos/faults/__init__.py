"""The kinds of faults. To add one, write what makes it, and its row here."""

from tests.chaos.faults import back_ends, components, messages, processes
from tests.chaos.faults.base import POSTGRES, WORKERS, Fault, FaultKind
from tests.chaos.system import ChaosSystem

_BACK_ENDS = ("firestore", "gcs", "s3", "pubsub", "postgresql")
_SUBSCRIPTIONS = ("sync", "index", "notify", "explore", "bundle-changes", "deliveries", "delivery-retries")
# Of these the sweep makes good what is lost: buckets may lose events, and a catalogue its place.
_MADE_GOOD = ("sync", "index", "explore")

KILL, STORM = "kill", "storm"

KINDS = (
    FaultKind(
        name=KILL,
        about="SIGKILL of a process of the API, of a function, or of PostgreSQL, which then recovers",
        targets=(*WORKERS, POSTGRES),
        make=processes.kill,
    ),
    FaultKind(
        name="freeze",
        about="SIGSTOP of a process, and SIGCONT",
        targets=WORKERS,
        make=processes.freeze,
        lasts=True,
    ),
    FaultKind(
        name="squeeze",
        about="a process is killed if it takes 4 MiB more than it has, as Cloud Run does at the limit",
        targets=WORKERS,
        make=processes.squeeze,
        lasts=True,
    ),
    FaultKind(
        name="restart",
        about="SIGKILL and a new start: they have what they had on disk, or need nothing",
        targets=("gcs", "firestore", "workflows", "token issuer"),
        make=components.restart,
    ),
    FaultKind(
        name="full",
        about="no file can be written: the disk is full; PostgreSQL ends all its processes, and recovers",
        targets=("gcs", "postgresql"),
        make=components.fill,
        lasts=True,
    ),
    FaultKind(
        name="cut",
        about="all connections end, also within a body",
        targets=_BACK_ENDS,
        make=back_ends.cut,
    ),
    FaultKind(
        name="slow",
        about="each request takes 0.3 s more",
        targets=_BACK_ENDS,
        make=back_ends.slow,
        lasts=True,
    ),
    FaultKind(
        name=STORM,
        about="GCS and S3 answer 503; all others end each connection",
        targets=_BACK_ENDS,
        make=back_ends.storm,
        lasts=True,
    ),
    FaultKind(
        name="throttle",
        about="GCS answers 429",
        targets=("gcs",),
        make=back_ends.throttle,
        lasts=True,
    ),
    FaultKind(
        name="break",
        about="GCS and S3 answer 500",
        targets=("gcs", "s3"),
        make=back_ends.break_down,
        lasts=True,
    ),
    FaultKind(
        name="lose",
        about="messages are acknowledged, and never arrive: those that the sweep makes good",
        targets=_MADE_GOOD,
        make=messages.lose,
        lasts=True,
    ),
    FaultKind(
        name="double",
        about="each message arrives twice, at the same time",
        targets=_SUBSCRIPTIONS,
        make=messages.double,
        lasts=True,
    ),
    FaultKind(
        name="mute",
        about="messages arrive, and their answers don't: they come again",
        targets=_SUBSCRIPTIONS,
        make=messages.mute,
        lasts=True,
    ),
    FaultKind(
        name="reorder",
        about="each message arrives up to 3 s later",
        targets=_SUBSCRIPTIONS,
        make=messages.reorder,
        lasts=True,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def inject(system: ChaosSystem, fault: Fault) -> str:
    """Make a fault, and return when it is over: what it hit; nothing if there was nothing to hit."""
    return BY_NAME[fault.kind].make(system, fault)
