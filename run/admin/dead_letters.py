"""Dead letters, as `dss admin dead-letters` shows and replays them."""

import sys
from collections.abc import Sequence
from typing import Any

from dss.commands.context import Context
from run.admin.operating import operated
from shared.clock import SystemClock
from shared.maintenance.dead_letters import DeadLetter, Replay, look_through, replay
from shared.messages import DEAD_LETTERS
from shared.pubsub import PubSub
from shared.wiring import open_subscription


def run_list(context: Context, *, at_most: int, seconds: float) -> int:
    """Show dead letters, all of which stay."""
    now = SystemClock().now()
    with operated() as settings:
        letters = open_subscription(settings, DEAD_LETTERS)
        rows = [letter.as_json(now) for letter in look_through(letters, at_most=at_most, seconds=seconds)]
    text = "\n".join([*map(_line, rows), _count(len(rows), at_most)])
    context.show({"count": len(rows), "letters": rows}, text)
    return 0


def _line(row: dict[str, Any]) -> str:
    what = row["key"] or row["attributes"]
    return (
        f"{row['id']}  {what}\n"
        f"    {row['subscription'] or '?'}, {row['attempts']} attempts, {row['age_seconds']:,.0f} s ago: "
        f"{row['reason']}"
    )


def _count(number: int, at_most: int) -> str:
    more = " (there may be more: --max)" if number == at_most else ""
    return f"{number} dead letters{more}"


def run_replay(context: Context, *, ids: Sequence[str], at_most: int | None, seconds: float) -> int:
    """Replay dead letters; return 1 where one was left, or one that was named is not there."""
    outcomes: list[Replay] = []
    with operated() as settings:
        letters = open_subscription(settings, DEAD_LETTERS)
        for outcome in replay(
            letters,
            PubSub(settings.project),
            ids=ids,
            at_most=at_most or sys.maxsize,
            seconds=seconds,
        ):
            outcomes.append(outcome)
            if outcome.left:
                print(f"dss: {outcome.letter.message.id}: {outcome.left}", file=sys.stderr)
    absent = sorted(set(ids) - {outcome.letter.message.id for outcome in outcomes})
    for id_ in absent:
        print(f"dss: {id_}: no such dead letter", file=sys.stderr)
    done = [_as_json(outcome.letter, outcome.topic) for outcome in outcomes if outcome.topic]
    left = [{"id": one.letter.message.id, "why": one.left} for one in outcomes if one.left]
    context.show({"replayed": done, "left": left, "absent": absent}, f"{len(done)} replayed")
    return 1 if left or absent else 0


def _as_json(letter: DeadLetter, topic: str) -> dict[str, Any]:
    return {"id": letter.message.id, "topic": topic, "attributes": dict(letter.attributes)}
