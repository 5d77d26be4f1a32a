"""`rebuild`: makes the catalog anew from the bucket of one replica, as `dss admin rebuild` does.

Options: `replica`, and `shards`, how many key ranges are worked on side by side (16). A line of the report is
an object that failed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from shared.catalog import AdminRun
from shared.jobs import sharding
from shared.jobs.argument import Argument
from shared.jobs.page import Page
from shared.kinds import KINDS, ObjectKind
from shared.maintenance import event_rebuild as events
from shared.maintenance import rebuild as rebuilding
from shared.replicas import Replica
from shared.system import Dss

_BATCH = 500
_JOURNALS = "journals"
# Lets journals be made again.
_RELEASE = "release"
# Turns of a kind whose objects rest on each other: those that could not be restored are tried again, until a
# turn restores nothing; the last one says what fails.
_AGAIN, _LAST = "again", "last"


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments."""
    replica = dss.replicas.named(argument.text("replica"))
    shards = argument.number("shards", sharding.USUAL_SHARDS, least=1, most=sharding.MOST_SHARDS)
    return {"replica": replica.name, "shards": shards}


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Go on to the next phase; see `JobType`."""
    return sharding.advance(dss, run, page, following)


def preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Count what the catalog lacks, in one slice; see `JobType`."""
    replica = dss.replicas.named(run.options["replica"])
    for restored in rebuilding.rebuild(dss, replica, dry_run=True):
        _report(page, restored)
    return None


def phases() -> list[sharding.Phase]:
    """Return the phases in order, those without turns."""
    before, after = ([kind.section for kind in kinds] for kinds in rebuilding.around_events())
    split = [*before, _JOURNALS, rebuilding.EVENTS]
    return [
        *map(sharding.Phase, split),
        sharding.Phase(_RELEASE, split=False),
        *map(sharding.Phase, after),
        sharding.Phase(rebuilding.SUBSCRIPTIONS, split=False),
    ]


def following(phase: sharding.Phase | None, results: Mapping[str, int]) -> sharding.Phase | None:
    """Return the phase after one; another turn of it if some of its objects could not be restored."""
    order = phases()
    if phase is None:
        return order[0]
    section, _, turn = phase.name.partition(" ")
    if results.get("waiting") and turn != _LAST:
        return sharding.Phase(f"{section} {_AGAIN if results.get('progress') else _LAST}")
    names = [one.name for one in order]
    rest = order[names.index(section) + 1 :]
    return rest[0] if rest else None


def work_on_shard(dss: Dss, shard: AdminRun, page: Page) -> dict[str, Any] | None:
    """Restore what is in the key range of a shard from its cursor on; see `JobType`."""
    replica, phase = dss.replicas.named(shard.options["replica"]), shard.options["phase"]
    # Grows from slice to slice.
    page.result = dict(shard.result)
    if phase == _RELEASE:
        dss.catalog.journals.hold(replica.name, held=False)
        return None
    if phase == rebuilding.SUBSCRIPTIONS:
        for restored in rebuilding.restored_subscriptions(dss, replica):
            _report(page, restored)
        return None
    if phase in (_JOURNALS, rebuilding.EVENTS):
        return _work_on_events(dss, replica, shard, page)
    section, _, turn = phase.partition(" ")
    [kind] = [one for one in KINDS.values() if one.section == section]
    return _work_on_kind(dss, replica, kind, turn, shard, page)


def _work_on_events(dss: Dss, replica: Replica, shard: AdminRun, page: Page) -> dict[str, Any] | None:
    folder = f"{shard.options['phase']}/"
    # In each slice: another rebuild may have ended meanwhile, and released them.
    dss.catalog.journals.hold(replica.name, held=True)

    def restore(keys: Sequence[str]) -> str:
        for restored in rebuilding.restored_events(dss, replica, keys):
            _report(page, restored)
        return keys[-1]

    return _in_batches(partial(events.event_keys, replica, folder), folder, restore, shard, page)


def _work_on_kind(
    dss: Dss, replica: Replica, kind: ObjectKind[Any], turn: str, shard: AdminRun, page: Page
) -> dict[str, Any] | None:
    def restore(batch: Sequence[rebuilding.Named]) -> str:
        names = [named for named in batch if not turn or kind.lacks(dss, named.name, replica)]
        for _, restored in rebuilding.restored_objects(dss, replica, kind, names):
            _take_turn(page, restored, turn, nested=kind.nested)
        return batch[-1].name.key

    listed = partial(rebuilding.objects_of, replica, kind)
    return _in_batches(listed, f"{kind.kind}/", restore, shard, page)


def _take_turn(page: Page, restored: rebuilding.Restored, turn: str, *, nested: bool) -> None:
    """Report an outcome in the turn that decides it; each object is counted in the first turn."""
    if nested and restored.failed and turn != _LAST:
        page.result["waiting"] = page.result.get("waiting", 0) + 1
        page.count(**({} if turn else _seen(restored.section)))
        return
    page.result["progress"] = page.result.get("progress", 0) + int(restored.new)
    _report(page, restored, seen=not turn)


def _in_batches(
    listed: Callable[[str, str], Any],
    folder: str,
    restore: Callable[[Sequence[Any]], str],
    shard: AdminRun,
    page: Page,
) -> dict[str, Any] | None:
    """Restore what is listed in a shard, a batch at a time; return the cursor after the last key."""
    keys = sharding.span_of(shard).keys(folder)
    items = listed(shard.cursor.get("after", keys.after), keys.until)
    while batch := list(islice(items, min(_BATCH, shard.options["page"]))):
        after = restore(batch)
        if page.taken(len(batch)):
            return {"after": after}
    return None


def _report(page: Page, restored: rebuilding.Restored, *, seen: bool = True) -> None:
    if restored.failed:
        page.report({"section": restored.section, "key": restored.key, "failed": restored.failed})
    page.count(failed=int(bool(restored.failed)), restored=int(restored.new))
    page.count(**(_seen(restored.section) if seen else {}))
    page.counts.update(
        {
            f"{restored.section} restored": int(restored.new),
            f"{restored.section} failed": int(bool(restored.failed)),
        }
    )


def _seen(section: str) -> dict[str, int]:
    return {"objects": 1, f"{section} objects": 1}
