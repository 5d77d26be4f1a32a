"""Groups: an object for each change of who is a member of one."""

from collections.abc import Iterator

from shared.catalog import Group
from shared.groups import Groups
from shared.identifiers import Kind
from shared.kinds.versioned import VersionedKind
from shared.system import Dss


class GroupKind(VersionedKind[Group]):
    """Groups with their members."""

    kind = Kind.GROUP
    section = "groups"
    collection = "groups"
    written = "replication: group written"
    objects = Groups()

    def scan(self, dss: Dss, since: str, until: str = "") -> Iterator[Group]:
        """Yield all changes of groups, in the order of their keys."""
        return dss.catalog.scan.groups(since, until)
