"""Groups: an object for each change of who is a member of one."""

from shared.catalog import Group
from shared.groups import Groups
from shared.identifiers import Kind
from shared.kinds.versioned import VersionedKind


class GroupKind(VersionedKind[Group]):
    """Groups with their members."""

    kind = Kind.GROUP
    section = "groups"
    collection = "groups"
    written = "replication: group written"
    objects = Groups()
