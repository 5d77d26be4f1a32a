"""Switch off the API's writes, or all work in the background, for `dss admin read-only`, `stop` and `start`.

`stop` first records that the system is stopped, which every function obeys within five seconds, and with it
what it is about to take away; only then it empties the push settings and pauses the schedules. So a kill
between any two steps loses nothing: `stop` again completes it, and `start` gives everything back.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.deliveries import Deliveries
from run.admin.identity import operator_of
from run.admin.operator import operator_settings
from shared.access.audit_log import utc_text
from shared.catalog import Switch, Switches
from shared.config import Settings
from shared.parallel import map_in_threads
from shared.system import Dss
from shared.wiring import open_system

# Seconds after which every process obeys (shared/switches.py).
_OBEYED_SECONDS = 5
_THREADS = 16
# Characters of a reason, which health and errors show.
_LONGEST_REASON = 500


def show_switches(context: Context) -> int:
    """Show what is switched off. Return 0."""
    with operator_settings() as settings:
        known = open_system(settings).catalog.switches.get()
    context.show(*_described(known))
    return 0


def set_read_only(context: Context, reason: str | None, *, dry_run: bool) -> int:
    """Refuse the API's writes for a reason, or with None allow them. Return 0 when every process obeys."""
    with operator_settings() as settings, context.progress("switch", unit="objects") as progress:
        dss = open_system(settings)
        switch = _switch(dss, settings, reason) if reason is not None else None
        if dry_run:
            context.show({"dry_run": True, "read_only": switch is not None}, _would("refuse", switch))
            return 0
        dss.catalog.switches.set_read_only(switch)
        progress.note(f"dss: every process obeys within {_OBEYED_SECONDS} s")
        dss.clock.sleep(_OBEYED_SECONDS)
        known = dss.catalog.switches.get()
    context.show(*_described(known))
    return 0


def stop(context: Context, reason: str, *, dry_run: bool) -> int:
    """Stop all work in the background, and return 0 when no function begins any."""
    with operator_settings() as settings, context.progress("stop", unit="objects") as progress:
        dss, deliveries = open_system(settings), Deliveries(settings)
        began = dss.clock.now()
        switch = _switch(dss, settings, reason)
        pushing = {name: push for name, push in deliveries.pushes().items() if push}
        calling = [name for name, on in deliveries.schedules().items() if on]
        if not dry_run:
            taken = {name: json.dumps(push) for name, push in pushing.items()}
            dss.catalog.switches.stop(switch, taken)
            written = dss.clock.now()
            _carry_out(
                [
                    *(partial(deliveries.set_push, name, {}) for name in pushing),
                    *(partial(deliveries.set_schedule, name, on=False) for name in calling),
                ]
            )
            progress.note(f"dss: every function obeys within {_OBEYED_SECONDS} s")
            passed = (dss.clock.now() - written).total_seconds()
            dss.clock.sleep(max(0.0, _OBEYED_SECONDS - passed))
        seconds = (dss.clock.now() - began).total_seconds()
    _show_change(context, "stopped", sorted(pushing), sorted(calling), dry_run=dry_run, seconds=seconds)
    return 0


def start(context: Context, *, dry_run: bool) -> int:
    """Give back what `stop` has taken away. Return 1 if a subscription does not exist any more, else 0."""
    with operator_settings() as settings:
        dss, deliveries = open_system(settings), Deliveries(settings)
        began = dss.clock.now()
        known = dss.catalog.switches.get()
        kept = known.pushes
        existing = deliveries.pushes()
        # One with settings was given newer ones meanwhile, by terraform.
        silent = sorted(name for name in kept if name in existing and not existing[name])
        gone = sorted(set(kept) - set(existing))
        paused = [name for name, on in deliveries.schedules().items() if not on]
        if not dry_run:
            # First, so that what is pushed at once is not refused; what is kept goes last.
            if known.stopped:
                dss.catalog.switches.start(began)
            _carry_out(
                [
                    *(partial(deliveries.set_push, name, json.loads(kept[name])) for name in silent),
                    *(partial(deliveries.set_schedule, name, on=True) for name in paused),
                ]
            )
            dss.catalog.switches.forget_pushes()
        seconds = (dss.clock.now() - began).total_seconds()
    _show_change(context, "started", silent, sorted(paused), dry_run=dry_run, seconds=seconds, gone=gone)
    return 1 if gone else 0


def _carry_out(calls: list[Callable[[], None]]) -> None:
    """Make independent calls at once."""
    for _ in map_in_threads(lambda call: call(), calls, threads=_THREADS):
        pass


def _switch(dss: Dss, settings: Settings, reason: str) -> Switch:
    if not reason.strip() or len(reason) > _LONGEST_REASON:
        raise InvalidInput(f"--reason: give one, of at most {_LONGEST_REASON} characters; everybody sees it")
    return Switch(reason=reason.strip(), by=operator_of(settings).name, since=dss.clock.now())


def _would(verb: str, switch: Switch | None) -> str:
    return f"writes would be {f'{verb}d: {switch.reason}' if switch else 'allowed'}; nothing was changed"


def _show_change(
    context: Context,
    what: str,
    subscriptions: list[str],
    schedules: list[str],
    *,
    dry_run: bool,
    seconds: float,
    gone: Sequence[str] = (),
) -> None:
    result = {"dry_run": dry_run, "subscriptions": subscriptions, "schedules": schedules}
    result |= {"gone": list(gone), "seconds": round(seconds, 1)}
    would = "would be " if dry_run else ""
    names = ", ".join([*subscriptions, *schedules]) or "nothing that was not already"
    lines = [f"{would}{what}: {names} ({seconds:.1f} s)"]
    lines += [f"subscription {name} does not exist any more" for name in gone]
    context.show(result, "\n".join(lines))


def _described(known: Switches) -> tuple[dict[str, Any], str]:
    switches = {"read_only": known.read_only, "stopped": known.stopped}
    result = {
        name: {**vars(switch), "since": utc_text(switch.since)} if switch else None
        for name, switch in switches.items()
    }
    lines = [
        f"{name.replace('_', '-')}: since {utc_text(switch.since)}, by {switch.by}: {switch.reason}"
        if switch
        else f"{name.replace('_', '-')}: no"
        for name, switch in switches.items()
    ]
    return result, "\n".join(lines)
