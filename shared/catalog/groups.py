"""The catalog of groups: who is a member of which.

Collection `groups` has a document for each change ever made; collection `memberships` has one per group, with
its members, in which a query finds the groups of somebody.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.catalog.database import Database
from shared.catalog.versioned import VersionedCatalog
from shared.identifiers import Fqid

# Groups of one member, races apart: `add_members` checks it.
MOST_GROUPS_OF_MEMBER = 100


@dataclass(frozen=True, kw_only=True)
class Group:
    """The members of a group, from the time of `fqid`'s version on: e-mail addresses, and `@domain`s."""

    fqid: Fqid
    name: str
    members: frozenset[str] = frozenset()
    by: str = ""
    available: frozenset[str] = field(default=frozenset(), compare=False)


class GroupCatalog(VersionedCatalog[Group]):
    """Reads and writes of groups."""

    noun = "group"

    def __init__(self, database: Database) -> None:
        super().__init__(database, heads="groups", current="memberships")

    def fields(self, record: Group) -> dict[str, Any]:
        """Return what documents say of a group."""
        return {
            "uuid": record.fqid.uuid,
            "version": record.fqid.version,
            "name": record.name,
            "members": sorted(record.members),
            "by": record.by,
        }

    def record_of(self, snapshot: Any) -> Group:
        """Return the group of a document."""
        return group_of(snapshot)

    def nothing_yet(self, fqid: Fqid, like: Group) -> Group:
        """Return a group that never had a member."""
        return Group(fqid=fqid, name=like.name)

    def names_with(self, members: Collection[str]) -> frozenset[str]:
        """Return the groups with any of these members, in one request; a read each."""
        query = (
            self._current.where(filter=FieldFilter("members", "array_contains_any", sorted(members)))
            .select(["name"])
            .limit(MOST_GROUPS_OF_MEMBER * len(members))
        )
        return frozenset(snapshot.get("name") for snapshot in self._database.query(query))


def group_of(snapshot: Any) -> Group:
    """Return the group that a document of `groups` or `memberships` holds."""
    document = snapshot.to_dict()
    return Group(
        fqid=Fqid(document["uuid"], document["version"]),
        name=document["name"],
        members=frozenset(document["members"]),
        by=document["by"],
        available=frozenset(document.get("available", ())),
    )
