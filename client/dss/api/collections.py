"""What a client asks of collections; a part of `dss.client.Client`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dss.api.calls import Calls

# Items that one request may have.
_AT_ONCE = 1000

Item = Mapping[str, Any]


class CollectionCalls(Calls):
    """Collections of whoever asks: links to files, bundles, collections, and fragments of JSON files."""

    def collections(self) -> Iterator[dict[str, str]]:
        """Yield `uuid` and newest `version` of every collection of whoever asks, in order of UUID."""
        for page in self._pages(self._call("GET", "collections", replica=None, per_page=500)):
            yield from page["collections"]

    def collection(self, uuid: str, version: str | None = None) -> dict[str, Any]:
        """Return a version of a collection, the newest unless given, with all of its `contents`."""
        found: dict[str, Any] = self._answered(
            self._call("GET", f"collections/{quote(uuid)}", version=version)
        )
        return found

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
        """Make a version of a collection of `contents` (each `type`, `uuid`, `version`, perhaps `path`).

        Return the version. Of more than 1,000 items the rest is added by changes, each of which makes a
        version of its own, and the last is returned.
        """
        body = {
            "name": name,
            "description": description,
            "details": dict(details or {}),
            "contents": list(contents[:_AT_ONCE]),
        }
        self._answered(self._call("PUT", "collections", body, uuid=uuid, version=version), 201)
        rest = contents[_AT_ONCE:]
        return self.patch_collection(uuid, version, add=rest) if rest else version

    def patch_collection(
        self,
        uuid: str,
        version: str,
        *,
        add: Sequence[Item] = (),
        remove: Sequence[Item] = (),
        **about: Any,
    ) -> str:
        """Make a new version of an old one, less the items of `remove`, plus those of `add`.

        `about` may have a new `name`, `description` and `details`. Return the new version. Of more than
        1,000 items each thousand makes a version, and the last is returned. Repeated, this makes others.
        """
        changes: list[dict[str, Any]] = []
        for key, items in (("remove_contents", remove), ("add_contents", add)):
            starts = range(0, len(items), _AT_ONCE)
            changes += [{key: list(items[start : start + _AT_ONCE])} for start in starts]
        if len(remove) + len(add) <= _AT_ONCE:
            changes = [{"remove_contents": list(remove), "add_contents": list(add)}]
        changes[-1] |= about
        for change in changes:
            call = self._call("PATCH", f"collections/{quote(uuid)}", change, version=version)
            version = self._answered(call)["version"]
        return version

    def delete_collection(self, uuid: str) -> None:
        """Hide a collection, with all of its versions, for ever."""
        self._answered(self._call("DELETE", f"collections/{quote(uuid)}"))
