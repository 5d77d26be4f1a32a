"""Keep the members of groups, for `dss admin group`."""

from collections.abc import Sequence
from typing import Any

from dss.commands.context import Context
from run.admin.identity import operator_of
from run.admin.operator import operator_settings
from shared.access import check_group
from shared.catalog import Group
from shared.groups import add_members, check_member, group_named, groups_of, remove_members
from shared.wiring import open_system


def change_members(context: Context, name: str, members: Sequence[str], *, add: bool, dry_run: bool) -> int:
    """Add members to a group, or remove them, and report whom. Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        check_group(name)
        asked = frozenset(map(check_member, members))
        if dry_run:
            group = group_named(dss, name)
            known = group.members if group else frozenset()
            changed = asked - known if add else asked & known
        else:
            change = add_members if add else remove_members
            changed = change(dss, name, asked, operator_of(settings).name)
        after = group_named(dss, name)
    count = len(after.members) if after else 0
    verb = "added" if add else "removed"
    result = {"group": name, verb: sorted(changed), "members": count, "dry_run": dry_run}
    shown = f"{'would be ' if dry_run else ''}{verb}: {', '.join(sorted(changed))}"
    already = "are members already" if add else "are no members"
    text = shown if changed else f"nothing to change: {', '.join(sorted(asked))} {already}"
    context.show(result, f"{name}: {text}\n  {count:,} members")
    return 0


def list_groups(context: Context, name: str, member: str) -> int:
    """List groups with their members: all, one, or those of a member. Return 0."""
    with operator_settings() as settings:
        dss = open_system(settings)
        if name:
            named = group_named(dss, name)
            groups = [named] if named else []
        else:
            groups = [current.record for current in dss.catalog.groups.all_current()]
        if member:
            names = groups_of(dss, check_member(member))
            groups = [one for one in groups if one.name in names]
    found = sorted((one for one in groups if one.members), key=lambda one: one.name)
    lines = [f"{one.name}: {', '.join(sorted(one.members))}" for one in found]
    context.show({"groups": list(map(_as_json, found))}, "\n".join([*lines, f"{len(found):,} groups"]))
    return 0


def _as_json(group: Group) -> dict[str, Any]:
    return {
        "group": group.name,
        "members": sorted(group.members),
        "since": group.fqid.version,
        "by": group.by,
    }
