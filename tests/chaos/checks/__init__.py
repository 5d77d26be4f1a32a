"""What must be true once all has settled. To add a check, write a function of the world, and its row here.

A check returns what is wrong; nothing once all is right. It is repeated until then, or until time is up.
"""

from collections.abc import Callable, Iterable, Mapping

from tests.chaos.checks import access, events, indexes, operations, replicas
from tests.chaos.clients.world import World
from tests.chaos.registers import faults_of, newest_faults

Check = Callable[[World], list[str]]

CHECKS: Mapping[str, Check] = {
    "every acknowledged bundle is on every replica, byte for byte": replicas.bundles,
    "a contested version has one content everywhere": replicas.contested,
    "what was not acknowledged is everywhere or nowhere": replicas.abandoned,
    "of two patches of a version one has succeeded": replicas.patches,
    "an audit finds nothing": replicas.audit,
    "every checkout has succeeded, and its copies are there": operations.checkouts,
    "every import has its bundles, on every replica": operations.imports,
    "copies, checkouts, imports and runs have ended": operations.under_way,
    "nothing has become a dead letter": operations.dead_letters,
    "the audit log has a line for each write": operations.audit_log,
    "journals of both replicas hold every event, once": events.journals,
    "who follows a journal has read every event": events.followed,
    "the subscriber was sent every event": events.deliveries,
    "search finds what the catalog says": indexes.search,
    "entries of search are what the catalog says": indexes.entries,
    "the catalogue holds what the catalog says": indexes.catalogue,
    "no read sees what was purged": access.purged,
}
# What clients and histories show, at once or at the end.
ORDER = "no order of operations explains the answers"

# The registers of which the newest version counts.
_NEWEST = ("collection ", "newest ")


def history_faults(world: World) -> list[str]:
    """Return the registers whose operations contradict each other."""
    found = []
    for register, done in world.history.by_register().items():
        check = newest_faults if register.startswith(_NEWEST) else faults_of
        found += [f"{register}: {fault}" for fault in check(done)]
    return found


def summary(faults: Iterable[str], most: int = 5) -> str:
    """Return the first of some faults, and how many more there are."""
    listed = list(faults)
    more = f" … and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(listed[:most]) + more
