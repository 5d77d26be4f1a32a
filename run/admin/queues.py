"""List, dump, feed and purge the queues of the system: its push subscriptions.

Pub/Sub pushes what it is not asked for, so a queue can be read only while the system is stopped. A dump
removes a message only once it is on the disk, and a feed removes nothing: a kill in between loses nothing.
"""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.deliveries import Deliveries
from run.admin.operator import operator_settings
from run.admin.report import table
from shared.config import Settings
from shared.maintenance.dead_letters import drain, line_of, messages_of
from shared.messages import DEAD_LETTERS, PulledMessage, PullSubscription
from shared.wiring import open_subscription


def list_queues(context: Context) -> int:
    """List the queues, and whether Pub/Sub pushes their messages. Return 0.

    Pub/Sub tells only its monitoring how many messages there are, so this does not.
    """
    with operator_settings() as settings:
        pushes = Deliveries(settings).pushes()
        rows = [
            {
                "queue": name.removeprefix(settings.pubsub_prefix),
                "pushed": bool(push),
                "to": push.get("pushEndpoint", ""),
            }
            for name, push in sorted(pushes.items())
        ]
    lines = [["queue", "pushed", "to"]]
    lines += [[str(row["queue"]), "yes" if row["pushed"] else "no", str(row["to"]) or "-"] for row in rows]
    context.show({"queues": rows}, "\n".join(table(lines)))
    return 0


def dump(context: Context, name: str, path: Path, *, at_most: int, seconds: float, remove: bool) -> int:
    """Write messages of a queue to a new file: all, and remove them, or the first. Return 0."""
    with operator_settings() as settings:
        queue = _readable(settings, name)
        with path.open("x", encoding="utf-8") as file:

            def write(batch: Sequence[PulledMessage]) -> None:
                file.writelines(f"{line_of(message, name, message.attributes)}\n" for message in batch)
                # On the disk before it is removed.
                file.flush()
                os.fsync(file.fileno())

            if remove:
                count = _each(context, drain(queue, seconds=seconds), write)
            else:
                count = _each(context, _looked_at(queue, at_most=at_most, seconds=seconds), write)
    text = f"{count:,} messages {'moved' if remove else 'copied'}{_more(count, at_most, all_=remove)}"
    context.show({"count": count, "file": str(path), "removed": remove}, text)
    return 0


def count(context: Context, name: str, *, at_most: int, seconds: float, remove: bool) -> int:
    """Say how many messages a dump would copy, or move. Return 0."""
    with operator_settings() as settings:
        queue = _readable(settings, name)
        found = _each(context, _looked_at(queue, at_most=at_most, seconds=seconds))
    text = f"{found:,} messages would be {'moved' if remove else 'copied'}"
    text += _more(found, at_most, all_=False)
    context.show({"dry_run": True, "count": found, "removed": False}, text)
    return 0


def purge(context: Context, name: str, *, at_most: int, seconds: float, dry_run: bool) -> int:
    """Remove the messages of a queue, for good; or count the first. Return 0."""
    with operator_settings() as settings:
        queue = _readable(settings, name)
        if dry_run:
            count = _each(context, _looked_at(queue, at_most=at_most, seconds=seconds))
        else:
            count = _each(context, drain(queue, seconds=seconds))
    would = "would be " if dry_run else ""
    text = f"{count:,} messages {would}removed from {name}{_more(count, at_most, all_=not dry_run)}"
    context.show({"dry_run": dry_run, "count": count}, text)
    return 0


_Batches = Generator[Sequence[PulledMessage], None, None]


def _looked_at(queue: PullSubscription, *, at_most: int, seconds: float) -> _Batches:
    """Yield messages one by one, and remove none."""
    with closing(messages_of(queue, at_most=at_most, seconds=seconds)) as messages:
        for message in messages:
            yield [message]


def _each(
    context: Context, batches: _Batches, work: Callable[[Sequence[PulledMessage]], None] = lambda _: None
) -> int:
    """Do some work on each batch, and return the number of messages."""
    count = 0
    with context.progress("queue", unit="objects") as progress, closing(batches):
        for batch in batches:
            work(batch)
            count += len(batch)
            progress.reach(count, f"{count:,} messages")
    return count


def _more(count: int, at_most: int, *, all_: bool) -> str:
    return " (there may be more: --max)" if count == at_most and not all_ else ""


def _readable(settings: Settings, name: str) -> PullSubscription:
    """Return a queue that nothing is pushed from. Raises InvalidInput for any other."""
    if name != DEAD_LETTERS:
        pushes = Deliveries(settings).pushes()
        known = {full.removeprefix(settings.pubsub_prefix): push for full, push in pushes.items()}
        if name not in known:
            raise InvalidInput(f"queue {name[:80]!r} is none of {', '.join(sorted(known))}, {DEAD_LETTERS}")
        if known[name]:
            raise InvalidInput(f"queue {name}: its messages are pushed; dss admin stop first")
    return open_subscription(settings, name)
