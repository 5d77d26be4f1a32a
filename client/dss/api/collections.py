"""Calls about collections: a user's links to files, bundles, collections, and fragments of JSON files."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dss.api.session import Session

# The contract allows at most so many items in one request.
_ITEMS_PER_REQUEST = 1000

Item = Mapping[str, Any]


def collections(session: Session) -> Iterator[dict[str, str]]:
    """Yield `uuid` and newest `version` of every collection of the user, in order of UUID."""
    for page in session.pages(
        session.call("GET", "collections", replica=None, per_page=500), has="collections"
    ):
        yield from page["collections"]


def collection(session: Session, uuid: str, version: str | None = None) -> dict[str, Any]:
    """Return a version of a collection with all of its `contents`."""
    call = session.call("GET", f"collections/{quote(uuid)}", version=version)
    answer: dict[str, Any] = session.answer_json(call, has="contents")
    return answer


def put_collection(
    session: Session, uuid: str, version: str, contents: Sequence[Item], about: Mapping[str, Any]
) -> str:
    """Make a version of a collection; items beyond 1,000 follow as changes. Return the newest version."""
    body = {**about, "contents": list(contents[:_ITEMS_PER_REQUEST])}
    session.answer_json(session.call("PUT", "collections", body, uuid=uuid, version=version), 201)
    rest = contents[_ITEMS_PER_REQUEST:]
    return patch_collection(session, uuid, version, rest, [], {}) if rest else version


def patch_collection(
    session: Session,
    uuid: str,
    version: str,
    add: Sequence[Item],
    remove: Sequence[Item],
    about: Mapping[str, Any],
) -> str:
    """Make a new version from an old one, one for each 1,000 items. Return the newest version."""
    changes: list[dict[str, Any]] = []
    for key, items in (("remove_contents", remove), ("add_contents", add)):
        starts = range(0, len(items), _ITEMS_PER_REQUEST)
        changes += [{key: list(items[start : start + _ITEMS_PER_REQUEST])} for start in starts]
    if len(remove) + len(add) <= _ITEMS_PER_REQUEST:
        changes = [{"remove_contents": list(remove), "add_contents": list(add)}]
    changes[-1] |= about
    for change in changes:
        call = session.call("PATCH", f"collections/{quote(uuid)}", change, version=version)
        version = session.answer_json(call, has="version")["version"]
    return version


def delete_collection(session: Session, uuid: str) -> None:
    """Hide a collection, with all of its versions, for ever."""
    session.answer_json(session.call("DELETE", f"collections/{quote(uuid)}"))
