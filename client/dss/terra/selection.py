"""What a table or an export is made of: bundles, the contents of collections, or what a query finds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dss.api.bundles import bundle
from dss.api.collections import collection
from dss.api.files import FileHead, head_file
from dss.api.search import search
from dss.api.session import Session
from dss.errors import CallFailed, InvalidInput
from dss.references import Kind, Reference, parse, resolve
from dss.transfer.parallel import in_order

# Manifests that are fetched at once, and ahead of their turn: so many are in memory.
_AT_ONCE = 4
# Links of other types lead to fragments of JSON files.
_KINDS: dict[str, Kind] = {"bundle": "bundle", "collection": "collection"}


@dataclass(frozen=True, kw_only=True)
class BundlePart:
    """A bundle version, with the rows of its manifest."""

    uuid: str
    version: str
    files: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """A file version that a collection links to, outside of any bundle."""

    uuid: str
    head: FileHead

    @property
    def version(self) -> str:
        """The version of the file."""
        return self.head.version


Part = BundlePart | FilePart


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Bundles and collections by name, in any form of `dss.references`, or what a query of a search finds.

    Raises InvalidInput unless there is one of both.
    """

    names: Sequence[str] = ()
    query: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check that there is one of both."""
        if bool(self.names) == (self.query is not None):
            raise InvalidInput("name bundles or collections, or give a query: one of both")

    def parts(self, session: Session) -> Iterator[Part]:
        """Yield each bundle, and each file outside of a bundle, once; at most a few are in memory.

        One request each. Raises InvalidInput if a name is of another DSS or of nothing, and CallFailed.
        """
        if self.query is not None:
            # The index has each bundle version once.
            hits = (parse(hit["bundle_fqid"]) for hit in search(session, self.query, raw=False))
            found = in_order(partial(_fetched, session), hits, at_once=_AT_ONCE)
            yield from (each for each in found if not isinstance(each, list))
        else:
            yield from _each_once(_expanded(session, [_named(session, name) for name in self.names]))


def _named(session: Session, text: str) -> Reference:
    found = parse(text)
    resolve(text, url=session.url, kind=found.kind or "bundle")
    return found


def _expanded(session: Session, wanted: Iterable[Reference]) -> Iterator[Part]:
    """Yield what is named, then what the collections among it link to, and so on."""
    seen: set[Reference] = set()
    level = list(dict.fromkeys(wanted))
    while level:
        seen.update(level)
        links: list[Reference] = []
        for found in in_order(partial(_fetched, session), level, at_once=_AT_ONCE):
            if isinstance(found, list):
                links += found
            else:
                yield found
        level = [link for link in dict.fromkeys(links) if link not in seen]


def _each_once(parts: Iterable[Part]) -> Iterator[Part]:
    """Leave out what was named in two ways."""
    seen: set[tuple[str, str]] = set()
    for part in parts:
        key = (part.uuid, part.version)
        if key not in seen:
            seen.add(key)
            yield part


def _fetched(session: Session, wanted: Reference) -> Part | list[Reference]:
    """Return a bundle or a file, or the links of a collection; a name may be of a bundle or a collection."""
    if wanted.kind == "file":
        head = head_file(session, wanted.uuid, wanted.version)
        if head is None:
            raise InvalidInput(f"there is no file {wanted} on replica {session.replica}")
        return FilePart(uuid=wanted.uuid, head=head)
    if wanted.kind != "collection":
        try:
            manifest = bundle(session, wanted.uuid, wanted.version)
            return BundlePart(uuid=manifest["uuid"], version=manifest["version"], files=manifest["files"])
        except CallFailed as error:
            if error.status != 404 or wanted.kind == "bundle":
                raise
    return _links(session, wanted)


def _links(session: Session, wanted: Reference) -> list[Reference]:
    try:
        contents = collection(session, wanted.uuid, wanted.version)["contents"]
    except CallFailed as error:
        if error.status == 404 and wanted.kind is None:
            raise InvalidInput(
                f"there is no bundle and no collection {wanted} on replica {session.replica}"
            ) from error
        raise
    return [
        Reference(uuid=link["uuid"], version=link["version"], kind=_KINDS.get(link["type"], "file"))
        for link in contents
    ]
