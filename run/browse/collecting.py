"""The collections that link to a bundle or a file, of those that the caller may read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from run.api.call import Call
from run.api.collections import resource_of
from run.browse.operations import HOME
from shared.identifiers import Fqid, Kind

# Collections that a page lists, and reads of the catalog that find them: one for each page of links.
MOST_LISTED, _MOST_READ = 10, 200


@dataclass(frozen=True, kw_only=True)
class Collecting:
    """A collection, and the page of its newest version."""

    name: str
    fqid: Fqid

    @property
    def url(self) -> str:
        """The page of this version."""
        return f"{HOME}/collections/{self.fqid.uuid}?{urlencode({'version': self.fqid.version})}"


@dataclass(frozen=True)
class CollectionsOf:
    """Collections that link to something, in order of UUID; `more`: there may be others."""

    found: Sequence[Collecting]
    more: bool


def collections_of(call: Call, kind: Kind, uuid: str) -> CollectionsOf:
    """Return collections whose newest version links to a UUID, in any version, and that the caller may read.

    Beside the reads that find them, one for each of these collections, and two for each that is listed.
    """
    catalog = call.dss.catalog.collections
    versions = catalog.linking_to(kind, uuid, _MOST_READ)
    owned = catalog.owned_many(version.uuid for version in versions)
    newest = [
        Fqid(each.uuid, each.newest)
        for each in owned.values()
        if each.newest and not each.hidden and not each.purged and call.finds(resource_of(each))
    ]
    linking = sorted(set(newest).intersection(versions))
    heads = catalog.get_many(linking[:MOST_LISTED])
    found = [
        Collecting(name=str(json.loads(catalog.about(heads[fqid]))["name"]), fqid=fqid)
        for fqid in linking[:MOST_LISTED]
        if fqid in heads and not heads[fqid].purged
    ]
    return CollectionsOf(found, more=len(linking) > MOST_LISTED or len(versions) == _MOST_READ)
