"""Groups: change who is a member, and know whose member somebody is.

A group is an immutable object, `groups/{uuid}.{version}`, whose UUID follows from its name; the newest
counts. So groups are replicated, audited and rebuilt as all other objects are. A member is an e-mail address,
also that of a service account, or `@domain` for all addresses of exactly this domain. Case does not count.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from shared.access import Principal, check_group
from shared.catalog import Group, VersionedCatalog
from shared.catalog.groups import MOST_GROUPS_OF_MEMBER
from shared.errors import IllegalArguments
from shared.identifiers import Fqid, Kind, group_uuid
from shared.system import Dss
from shared.versioned_objects import VersionedObjects, change_newest

# Members of one group. Firestore: a document is at most 1 MiB, and an e-mail address 254 characters.
MOST_MEMBERS = 2000
# Seconds for which a process believes what it has read of somebody's groups: a change has to count within
# five, a request's time included.
_BELIEVED = timedelta(seconds=3)
# Principals whose groups a process remembers, a few hundred bytes each.
_REMEMBERED = 10_000

# RFC 5321: a domain has at most 255 characters, and an address 254.
_DOMAIN = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
_MEMBER = re.compile(rf"(?=.{{3,254}}$)[!-?A-~]*@{_DOMAIN}", re.ASCII)


class Groups(VersionedObjects[Group]):
    """Groups, as objects of which the newest counts."""

    kind = Kind.GROUP
    noun = "group"

    def catalog(self, dss: Dss) -> VersionedCatalog[Group]:
        """Return the catalog of groups."""
        return dss.catalog.groups

    def document(self, record: Group) -> dict[str, Any]:
        """Return the content of a group's object."""
        return {
            "format": "0.0.1",
            "name": record.name,
            "members": sorted(record.members),
            "by": record.by,
        }

    def record(self, fqid: Fqid, document: Mapping[str, Any]) -> Group:
        """Return the group that an object's content describes. Raises ValueError if it is another one's."""
        name = str(document["name"])
        if group_uuid(name) != fqid.uuid:
            raise ValueError(f"it is about group {name[:80]!r}, whose UUID is {group_uuid(name)}")
        members = frozenset(map(str, document["members"]))
        return Group(fqid=fqid, name=name, members=members, by=str(document["by"]))

    def stamped(self, record: Group, fqid: Fqid, by: str) -> Group:
        """Return a group with its version and its author."""
        return replace(record, fqid=fqid, by=by)


def check_member(text: str) -> str:
    """Return a member, in lower case. Raises IllegalArguments unless it is an e-mail address or `@domain`."""
    member = text.lower()
    # Beyond ASCII other letters become ours in lower case: U+212A becomes k.
    if not (text.isascii() and _MEMBER.fullmatch(member)):
        raise IllegalArguments(
            f"member: {text[:80]!r} is neither an e-mail address nor a domain, as in @example.org"
        )
    return member


def add_members(dss: Dss, name: str, members: Collection[str], by: str) -> frozenset[str]:
    """Make somebody members of a group, which need not exist yet; return those who were none before.

    In effect in every process within five seconds. Raises IllegalArguments if one can't be a member, if the
    group has too many members, or a member too many groups.
    """
    added = frozenset(map(check_member, members))
    for member in sorted(added):
        others = dss.catalog.groups.names_with([member]) - {name}
        if len(others) >= MOST_GROUPS_OF_MEMBER:
            raise IllegalArguments(f"member: {member} is in {len(others)} groups, the most that there may be")
    before, after = _change(dss, name, by, lambda members: members | added)
    return after - before


def remove_members(dss: Dss, name: str, members: Collection[str], by: str) -> frozenset[str]:
    """Let somebody no longer be members of a group; return those who were. In effect as `add_members`."""
    removed = frozenset(map(check_member, members))
    before, after = _change(dss, name, by, lambda members: members - removed)
    return before - after


def _change(
    dss: Dss, name: str, by: str, change: Callable[[frozenset[str]], frozenset[str]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Change the members of a group; return those before and after."""
    before: list[Group] = []

    def changed(group: Group) -> Group:
        before.append(group)
        members = change(group.members)
        if len(members) > MOST_MEMBERS:
            raise IllegalArguments(f"group: {name} would have more than {MOST_MEMBERS:,} members, the most")
        return replace(group, members=members)

    first = Group(fqid=Fqid(group_uuid(check_group(name)), ""), name=name)
    after = change_newest(dss, Groups(), first, by, changed)
    return before[-1].members, after.members


def group_named(dss: Dss, name: str) -> Group | None:
    """Return a group with its members, in one read; None if it never had one."""
    current = dss.catalog.groups.current(group_uuid(check_group(name)))
    return current.record if current else None


def groups_of(dss: Dss, email: str) -> frozenset[str]:
    """Return the groups that an e-mail address, or its domain, is a member of; in one request.

    An address beyond ASCII is in none, since it may become another one in lower case.
    """
    if not email.isascii():
        return frozenset()
    address = email.lower()
    local, at, domain = address.rpartition("@")
    return dss.catalog.groups.names_with({address, at + domain} if local and at else {address})


class Memberships:
    """The groups of those who call, as one process knows them: read again after three seconds."""

    def __init__(self, dss: Dss) -> None:
        self._dss = dss
        self._known: OrderedDict[str, tuple[datetime, frozenset[str]]] = OrderedDict()
        self._lock = Lock()

    def join(self, who: Principal) -> Principal:
        """Return a principal with the groups that the system keeps, beside those of the token.

        Costs nothing for strangers, and for admins, who need none. Raises Unavailable.
        """
        if not who.is_known or who.is_admin:
            return who
        return replace(who, groups=who.groups | self._groups(who.email))

    def _groups(self, email: str) -> frozenset[str]:
        now = self._dss.clock.now()
        with self._lock:
            read, groups = self._known.get(email, (None, frozenset()))
        if read and timedelta(0) <= now - read < _BELIEVED:
            return groups
        groups = groups_of(self._dss, email)
        with self._lock:
            # As old as the moment before it was read.
            self._known[email] = now, groups
            self._known.move_to_end(email)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return groups
