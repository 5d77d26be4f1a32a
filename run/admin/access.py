"""Bind UUIDs to groups, for `dss admin access`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.identity import operator_of
from run.admin.operator import operator_settings
from run.admin.report import table
from shared.access import check_group
from shared.access.readers import check_reader
from shared.bindings import change_binding
from shared.catalog import Binding
from shared.identifiers import Fqid, check_uuid
from shared.system import Dss
from shared.wiring import open_system

Change = Callable[[Binding], Binding]


@dataclass(frozen=True, kw_only=True)
class _Unbound:
    """Whom a UUID is for, besides what its binding says.

    `default` is DSS_DEFAULT_ACCESS. `owner` is the e-mail address of the person to whom a collection belongs.
    """

    default: str
    owner: str


def add_reader(context: Context, uuid: str, reader: str, *, with_files: bool | None, dry_run: bool) -> int:
    """Let a group read a UUID, and report what changed. Return 0."""

    def add(before: Binding) -> Binding:
        files = before.with_files if with_files is None else with_files
        return replace(before, readers=before.readers | {check_reader(reader)}, with_files=files)

    return _change(context, uuid, add, dry_run=dry_run)


def remove_reader(context: Context, uuid: str, reader: str, *, unbind: bool, dry_run: bool) -> int:
    """Let a group no longer read a UUID, and report what changed. Return 0.

    Raises InvalidInput if it is the last one and not to be unbound.
    """

    def remove(before: Binding) -> Binding:
        readers = before.readers - {check_reader(reader)}
        if before.readers and not readers and not unbind:
            raise InvalidInput(
                f"{reader} is the last group that {uuid} is bound to; --unbind removes it, and then "
                "DSS_DEFAULT_ACCESS says who reads it, or only its owner does, if it is a collection"
            )
        return replace(before, readers=readers)

    return _change(context, uuid, remove, dry_run=dry_run)


def set_owner(context: Context, uuid: str, group: str, *, nobody: bool, dry_run: bool) -> int:
    """Let only the members of a group write a UUID, or all writers, and report what changed. Return 0.

    Raises InvalidInput if it is to be given to a group and is a collection.
    """
    if bool(group) == nobody:
        raise InvalidInput("name the group that is to own it, or --nobody")

    def own(before: Binding) -> Binding:
        return replace(before, owner_group=check_group(group) if group else "")

    return _change(context, uuid, own, dry_run=dry_run, gives=bool(group))


def _change(context: Context, uuid: str, change: Change, *, dry_run: bool, gives: bool = False) -> int:
    with operator_settings() as settings, context.progress("bind", unit="files") as progress:
        uuid = check_uuid(uuid)
        dss = open_system(settings)
        kinds = dss.catalog.bindings.kinds_of(uuid)
        unbound = _unbound(dss, uuid, kinds)
        if gives and unbound.owner:
            raise InvalidInput(f"{uuid} is a collection: it belongs to the person who made it")
        seen, files = [_current(dss, uuid)], [0]

        def remembered(known: Binding) -> Binding:
            seen.append(known)
            return change(known)

        def reach(done: int, total: int) -> None:
            files.append(done)
            progress.reach(done, f"of {total:,} files of the bundle")

        if dry_run:
            after = remembered(seen[0])
        else:
            after = change_binding(dss, uuid, operator_of(settings).name, remembered, reach)
    before = seen[-1]
    result = {"uuid": uuid, "dry_run": dry_run, "exists": kinds, "files": max(files), "owner": unbound.owner}
    result |= {"before": _as_json(before), "after": _as_json(after)}
    result |= {"changed": _said(before) != _said(after)}
    context.show(result, _report(result, before, after, unbound))
    return 0


def _current(dss: Dss, uuid: str) -> Binding:
    current = dss.catalog.bindings.current(uuid)
    return current.record if current else Binding(fqid=Fqid(uuid, ""))


def _unbound(dss: Dss, uuid: str, kinds: list[str]) -> _Unbound:
    owned = dss.catalog.collections.owned(uuid) if kinds == ["collection"] else None
    return _Unbound(default=dss.policy.default, owner=owned.owner if owned else "")


def _report(result: dict[str, Any], before: Binding, after: Binding, unbound: _Unbound) -> str:
    if not result["changed"]:
        return f"nothing to change: {result['uuid']}: {_text(after, unbound)}"
    lines = [f"{result['uuid']}: {'would be ' if result['dry_run'] else ''}{_text(after, unbound)}"]
    lines.append(f"  before: {_text(before, unbound)}")
    if result["files"]:
        lines.append(f"  {result['files']:,} files are bound as the bundle")
    if not result["exists"]:
        lines.append("  nothing has this UUID yet; what gets it is bound from its first moment on")
    return "\n".join(lines)


def _said(binding: Binding) -> tuple[frozenset[str], str, bool]:
    return binding.readers, binding.owner_group, binding.with_files


def _text(binding: Binding, unbound: _Unbound) -> str:
    bound = sorted(binding.all_readers)
    if unbound.owner:
        writers = f"{unbound.owner} (its owner)"
        readers = [*bound, writers]
    else:
        writers = binding.owner_group or "all writers"
        readers = bound or [f"{unbound.default} (DSS_DEFAULT_ACCESS)"]
    parts = [f"read by {', '.join(readers)}", f"written by {writers}"]
    return "; ".join([*parts, *(["with its files"] if binding.with_files else [])])


def _as_json(binding: Binding) -> dict[str, Any]:
    return {
        "readers": sorted(binding.readers),
        "owner_group": binding.owner_group,
        "with_files": binding.with_files,
        "since": binding.fqid.version,
        "by": binding.by,
    }


def show_binding(context: Context, uuid: str) -> int:
    """Show who may read and write a UUID. Return 0."""
    with operator_settings() as settings:
        uuid = check_uuid(uuid)
        dss = open_system(settings)
        binding, kinds = _current(dss, uuid), dss.catalog.bindings.kinds_of(uuid)
        unbound = _unbound(dss, uuid, kinds)
    lines = [f"{uuid} ({', '.join(kinds) or 'nothing yet'}): {_text(binding, unbound)}"]
    if binding.fqid.version:
        lines.append(f"  since {binding.fqid.version}, by {binding.by}")
    result = {"uuid": uuid, "exists": kinds, "default": unbound.default, "owner": unbound.owner}
    result |= _as_json(binding)
    context.show(result, "\n".join(lines))
    return 0


def list_bindings(context: Context, group: str) -> int:
    """List the UUIDs that are bound or owned, or those of a group. Return 0."""
    with operator_settings() as settings, context.progress("list", unit="objects") as progress:
        dss = open_system(settings)
        bound: list[Binding] = []
        for number, current in enumerate(dss.catalog.bindings.all_current(), start=1):
            binding = current.record
            if (binding.readers or binding.owner_group) and _concerns(binding, group):
                bound.append(binding)
            progress.reach(number, f"{len(bound):,} are bound")
    rows = [["uuid", "readers", "owner", "with files", "by"]]
    rows += [
        [
            binding.fqid.uuid,
            ",".join(sorted(binding.readers)) or "-",
            binding.owner_group or "-",
            "yes" if binding.with_files else "no",
            binding.by,
        ]
        for binding in bound
    ]
    text = "\n".join([*table(rows), f"{len(bound):,} UUIDs"])
    context.show({"bound": [{"uuid": one.fqid.uuid, **_as_json(one)} for one in bound]}, text)
    return 0


def _concerns(binding: Binding, group: str) -> bool:
    return not group or group in binding.readers or group == binding.owner_group
