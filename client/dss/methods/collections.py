"""What a client can do with collections."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dss.api import collections
from dss.api.collections import Item
from dss.api.session import Session
from dss.errors import InvalidInput
from dss.references import resolve


class CollectionMethods(Session):
    """Collections: your lists of links to files, bundles, collections, and fragments of JSON files."""

    def collections(self) -> Iterator[dict[str, str]]:
        """Yield `uuid` and newest `version` of each of your collections, in order of UUID::

        for row in client.collections():
            print(row["uuid"], row["version"])
        """
        return collections.collections(self)

    def collection(self, collection: str, version: str | None = None) -> dict[str, Any]:
        """Return a version of a collection (default: the newest) with all of its `contents`::

        uuid, _, version = client.files(uuid).fqid.partition(".")
        link = {"type": "bundle", "uuid": uuid, "version": version}
        name = str(uuid4())
        client.put_collection(name, "2026-01-12T093000.000000Z", [link], name="Mine")
        print(client.collection(name)["contents"])
        """
        found = resolve(collection, version, url=self.url, kind="collection")
        return collections.collection(self, found.uuid, found.version)

    def put_collection(
        self,
        uuid: str,
        version: str,
        contents: Sequence[Item],
        *,
        name: str = "",
        description: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a version of a collection of links, each with `type`, `uuid`, `version`, and perhaps `path`.

        `collection` has an example. A `path` is for a fragment of a JSON file.

        Return the newest version: items beyond 1,000 are added in further versions.
        """
        about = {"name": name, "description": description, "details": dict(details or {})}
        return collections.put_collection(self, uuid, version, contents, about)

    def patch_collection(
        self,
        collection: str,
        version: str | None = None,
        *,
        add: Sequence[Item] = (),
        remove: Sequence[Item] = (),
        name: str | None = None,
        description: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a new version from an old one, without the items of `remove`, with those of `add`::

            newest = client.patch_collection(name, add=[{"type": "bundle", "uuid": uuid, "version": version}])

        The old one is the newest if none is given: then another request asks which that is. Return the newest
        version: each 1,000 items make one. Each call makes others.
        """
        about = {"name": name, "description": description, "details": details}
        changes = {key: value for key, value in about.items() if value is not None}
        found = resolve(collection, version, url=self.url, kind="collection")
        version = found.version or self.collection(found.uuid)["version"]
        return collections.patch_collection(self, found.uuid, version, add, remove, changes)

    def delete_collection(self, collection: str) -> None:
        """Hide a collection, with all of its versions, for ever::

            client.delete_collection(name)

        Raises InvalidInput if one version is named.
        """
        found = resolve(collection, url=self.url, kind="collection")
        if found.version is not None:
            raise InvalidInput(f"{found} names one version; a collection is hidden as a whole: {found.uuid}")
        collections.delete_collection(self, found.uuid)
