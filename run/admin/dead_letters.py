"""List, replay, dump and feed dead letters, for `dss admin dead-letters`."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dss.commands.context import Context
from run.admin.operator import operator_settings
from shared.clock import SystemClock
from shared.maintenance.dead_letters import DeadLetter, Dumped, Replay, feed, look_through, replay
from shared.messages import DEAD_LETTERS
from shared.wiring import open_publisher, open_subscription


def run_list(context: Context, *, subscription: str, at_most: int, seconds: float) -> int:
    """List dead letters, of one subscription or all, and keep all of them. Return 0."""
    now = SystemClock().now()
    with operator_settings() as settings:
        letters = open_subscription(settings, DEAD_LETTERS)
        found = look_through(letters, at_most=sys.maxsize if subscription else at_most, seconds=seconds)
        rows = [letter.as_json(now) for letter in islice(_of(found, subscription), at_most)]
    text = "\n".join([*map(_line, rows), _count(len(rows), at_most)])
    context.show({"count": len(rows), "letters": rows}, text)
    return 0


def run_dump(
    context: Context, path: Path, *, subscription: str, at_most: int | None, seconds: float, remove: bool
) -> int:
    """Write dead letters to a new file, and perhaps remove them. Return 0."""
    count = 0
    with operator_settings() as settings, path.open("x", encoding="utf-8") as file:
        letters = open_subscription(settings, DEAD_LETTERS)
        found = look_through(letters, at_most=sys.maxsize, seconds=seconds)
        for letter in islice(_of(found, subscription), at_most):
            file.write(f"{letter.as_line()}\n")
            if remove:
                # Not before it is on the disk.
                file.flush()
                os.fsync(file.fileno())
                letters.acknowledge([letter.message])
            count += 1
    verb = "moved" if remove else "copied"
    context.show({"count": count, "file": str(path), "removed": remove}, f"{count} dead letters {verb}")
    return 0


def count_dump(
    context: Context, *, subscription: str, at_most: int | None, seconds: float, remove: bool
) -> int:
    """Say how many dead letters a dump would copy, or move. Return 0."""
    with operator_settings() as settings:
        letters = open_subscription(settings, DEAD_LETTERS)
        found = look_through(letters, at_most=sys.maxsize, seconds=seconds)
        count = sum(1 for _ in islice(_of(found, subscription), at_most))
    text = f"{count} dead letters would be {'moved' if remove else 'copied'}"
    context.show({"dry_run": True, "count": count, "removed": False}, text)
    return 0


def run_feed(context: Context, path: Path, *, dry_run: bool) -> int:
    """Publish the messages of a dump again. Return 1 if one could not be published, else 0."""
    with operator_settings() as settings, path.open(encoding="utf-8") as file:
        messages = (Dumped.parse(line, f"{path}:{number}") for number, line in enumerate(file, start=1))
        if dry_run:
            rows = [{"id": one.id, "attributes": dict(one.attributes)} for one in messages]
            context.show({"dry_run": True, "letters": rows}, f"{len(rows)} would be published")
            return 0
        letters = open_subscription(settings, DEAD_LETTERS)
        outcomes = list(feed(letters, open_publisher(settings), messages))
    left = [{"id": one.message.id, "why": one.left} for one in outcomes if one.left]
    for row in left:
        print(f"dss: {row['id']}: {row['why']}", file=sys.stderr)
    published = [{"id": one.message.id, "topic": one.topic} for one in outcomes if one.topic]
    context.show({"published": published, "left": left}, f"{len(published)} published")
    return 1 if left else 0


def _of(letters: Iterable[DeadLetter], subscription: str) -> Iterator[DeadLetter]:
    return (letter for letter in letters if subscription in ("", letter.subscription))


def _line(row: dict[str, Any]) -> str:
    subject, tried = row["key"] or row["attributes"], row["tried_seconds"]
    for_long = "" if tried is None else f"tried for {tried:,.0f} s, "
    return (
        f"{row['id']}  {subject}\n"
        f"    {row['subscription'] or '?'}, {for_long}{row['age_seconds']:,.0f} s ago: "
        f"{row['reason']}"
    )


def _count(number: int, at_most: int) -> str:
    more = " (there may be more: --max)" if number == at_most else ""
    return f"{number} dead letters{more}"


def run_replay(context: Context, *, ids: Sequence[str], at_most: int | None, seconds: float) -> int:
    """Replay dead letters. Return 1 if one could not be replayed or a given id does not exist, else 0."""
    outcomes: list[Replay] = []
    with operator_settings() as settings:
        letters = open_subscription(settings, DEAD_LETTERS)
        limit = at_most or sys.maxsize
        for outcome in replay(letters, open_publisher(settings), ids=ids, at_most=limit, seconds=seconds):
            outcomes.append(outcome)
            if outcome.left:
                print(f"dss: {outcome.letter.message.id}: {outcome.left}", file=sys.stderr)
    absent = sorted(set(ids) - {outcome.letter.message.id for outcome in outcomes})
    for id_ in absent:
        print(f"dss: {id_}: no such dead letter", file=sys.stderr)
    replayed = [_as_json(outcome.letter, outcome.topic) for outcome in outcomes if outcome.topic]
    left = [{"id": row.letter.message.id, "why": row.left} for row in outcomes if row.left]
    context.show({"replayed": replayed, "left": left, "absent": absent}, f"{len(replayed)} replayed")
    return 1 if left or absent else 0


def show_selected(context: Context, *, ids: Sequence[str], at_most: int | None, seconds: float) -> int:
    """Show which dead letters a replay would publish, and keep all. Return 1 if a given id does not exist."""
    now, limit = SystemClock().now(), at_most or sys.maxsize
    with operator_settings() as settings:
        letters = open_subscription(settings, DEAD_LETTERS)
        found = look_through(letters, at_most=sys.maxsize if ids else limit, seconds=seconds)
        rows = [letter.as_json(now) for letter in found if not ids or letter.message.id in ids][:limit]
    absent = sorted(set(ids) - {row["id"] for row in rows}) if len(rows) < limit else []
    for id_ in absent:
        print(f"dss: {id_}: no such dead letter", file=sys.stderr)
    text = "\n".join([*map(_line, rows), f"{len(rows)} would be replayed"])
    context.show({"dry_run": True, "letters": rows, "absent": absent}, text)
    return 1 if absent else 0


def _as_json(letter: DeadLetter, topic: str) -> dict[str, Any]:
    return {"id": letter.message.id, "topic": topic, "attributes": dict(letter.attributes)}
