"""Collections: the content of a version, and how a new version or a tombstone takes effect."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from shared.catalog import CollectionHead, CollectionTombstone, OwnedCollection
from shared.catalog.pages import PAGE_BYTES
from shared.changes import claim_change, following_versions
from shared.errors import (
    CollectionAlreadyExists,
    CollectionTombstoneAlreadyExists,
    IllegalArguments,
    Unprocessable,
)
from shared.identifiers import Fqid, Kind, check_uuid, check_version, manifest_key, tombstone_key
from shared.links import Link, target_of
from shared.manifests import digest, encode, write_once
from shared.system import Dss

# Cloud Run: an answer is at most 32 MiB. A collection is read whole, and the answer is as long as its
# manifest.
MAX_BYTES = 30 * 1024 * 1024
_ABOUT = ("name", "description", "details")


@dataclass(frozen=True, kw_only=True)
class CollectionVersion:
    """A version of a collection: `about` is its name, description and details, `items` are its encoded links.

    Links stay encoded because there may be a hundred thousand of them.
    """

    fqid: Fqid
    owner: str
    about: Mapping[str, Any]
    items: Sequence[bytes]

    def with_items(
        self, fqid: Fqid, changes: Mapping[str, Any], items: Sequence[bytes]
    ) -> "CollectionVersion":
        """Return the next version, with other items, and with the values of `changes` that are not None."""
        changed = {name: changes[name] for name in _ABOUT if changes.get(name) is not None}
        return CollectionVersion(fqid=fqid, owner=self.owner, about={**self.about, **changed}, items=items)

    @cached_property
    def manifest(self) -> bytes:
        """The content of the version's object in each replica's bucket."""
        rest = encode({**self.about, "owner": self.owner, "version": self.fqid.version, "format": "0.0.1"})
        # The same bytes as from `encode`: "contents" comes first in order of name.
        return b'{"contents":[%s],%s' % (b",".join(self.items), rest[1:])

    @cached_property
    def pages(self) -> list[bytes]:
        """The version as lines of JSON, first `about` and then its links, in pages of at most PAGE_BYTES."""
        return list(_paged([encode(dict(self.about)), *self.items]))

    @cached_property
    def linked(self) -> list[list[str]]:
        """What each page links to, `bundles/UUID`, each once.

        45 bytes at most for a link, which has at least 101 bytes in its page and hardly half of that once it
        is compressed: a document of Firestore holds both, however many links there are.
        """
        # The first line is no link.
        items = (lines([page])[number == 0 :] for number, page in enumerate(self.pages))
        return [sorted({f"{each.kind}/{each.fqid.uuid}" for each in map(target_of, page)}) for page in items]

    def head(self) -> CollectionHead:
        """Return the head of the version, available on no replica.

        Raises IllegalArguments if the version is too large for the catalog or for an answer.
        """
        size = len(encode(dict(self.about)))
        if size > PAGE_BYTES:
            raise IllegalArguments(
                f"name, description, details: {size} bytes of JSON together; at most {PAGE_BYTES} are allowed"
            )
        manifest = self.manifest
        if len(manifest) > MAX_BYTES:
            raise IllegalArguments(
                f"contents: the collection is {len(manifest)} bytes of JSON; at most {MAX_BYTES} are allowed"
            )
        return CollectionHead(
            fqid=self.fqid,
            owner=self.owner,
            item_count=len(self.items),
            page_count=len(self.pages),
            digest=digest(manifest),
        )


def _paged(lines: Iterable[bytes]) -> Iterator[bytes]:
    page: list[bytes] = []
    size = 0
    for line in lines:
        if page and size + len(line) + 1 > PAGE_BYTES:
            yield b"\n".join(page)
            page, size = [], 0
        page.append(line)
        size += len(line) + 1
    yield b"\n".join(page)


def unique(links: Iterable[Link]) -> list[bytes]:
    """Return links encoded, in their order, and identical ones only once."""
    return list(dict.fromkeys(link.encoded for link in links))


def collection_of(
    fqid: Fqid, owner: str, about: Mapping[str, Any], items: Sequence[bytes]
) -> CollectionVersion:
    """Return a version with the name, description and details of `about`, a request or a manifest."""
    return CollectionVersion(
        fqid=fqid, owner=owner, about={name: about[name] for name in _ABOUT}, items=items
    )


def collection_of_manifest(fqid: Fqid, encoded: bytes) -> CollectionVersion:
    """Return the version that a manifest describes.

    Raises ValueError, LookupError, TypeError, AttributeError or a DssError if it isn't a manifest, or not in
    the one form in which the system writes it.
    """
    manifest = json.loads(encoded)
    items = unique(Link.parse(item, f"contents[{n}]") for n, item in enumerate(manifest["contents"]))
    for item in manifest["contents"]:
        check_uuid(item["uuid"])
        check_version(item["version"])
    version = collection_of(fqid, str(manifest["owner"]), manifest, items)
    if version.manifest != encoded:
        raise Unprocessable("it is not as the system writes it")
    return version


def read_collection(dss: Dss, head: CollectionHead) -> CollectionVersion:
    """Return a version with all of its contents. Raises CatalogBroken if the catalog lacks pages."""
    about, *items = lines(dss.catalog.collections.pages(head))
    return CollectionVersion(fqid=head.fqid, owner=head.owner, about=json.loads(about), items=items)


def document_of(dss: Dss, head: CollectionHead) -> Iterator[bytes]:
    """Return the JSON answer to a read of a version, in pieces that are made as they are sent.

    All pages have been read when this returns. Raises CatalogBroken if the catalog lacks some.
    """
    pages = dss.catalog.collections.pages(head)
    about, _, first = next(pages).partition(b"\n")
    named = {"owner": head.owner, "uuid": head.fqid.uuid, "version": head.fqid.version}
    return _document(filter(None, chain([first], pages)), encode({**json.loads(about), **named}))


def _document(pages: Iterator[bytes], rest: bytes) -> Iterator[bytes]:
    yield b'{"contents":['
    for number, page in enumerate(pages):
        yield (b"," if number else b"") + page.replace(b"\n", b",")
    yield b"]," + rest[1:]


def lines(pages: Iterable[bytes]) -> list[bytes]:
    """Return the lines of pages. The first line of the first page is `about`, all others are links."""
    return [line for page in pages for line in page.split(b"\n")]


def write_collection(
    dss: Dss,
    replica: str,
    version: CollectionVersion,
    owned: OwnedCollection | None,
    *,
    replaces: Fqid | None = None,
) -> bool:
    """Create a version of a collection; it is readable on the replica when this returns.

    `owned` is what the catalog last said of the UUID. Returns whether the version is new: False if the same
    version was written before. Safe to repeat after a kill at any point; nothing is readable before the last
    step. Raises CollectionAlreadyExists if the FQID has other content or the UUID another owner,
    CollectionTombstoneAlreadyExists if it is hidden, PreconditionFailed if somebody else replaces the version
    that this one `replaces`, and IllegalArguments if the version is too large.
    """
    if owned and owned.hidden:
        raise CollectionTombstoneAlreadyExists(
            f"collection {version.fqid.uuid} is deleted for ever; choose another UUID"
        )
    head = version.head()
    claims = [claim_change(dss, Kind.COLLECTION, replaces, version.fqid)] if replaces else []
    dss.faults.reach("collection: before the head is created")
    created = dss.catalog.collections.create(head, owned, *claims)
    dss.faults.reach("collection: head created")
    dss.catalog.collections.write_pages(version.fqid, version.pages, version.linked)
    dss.faults.reach("collection: all pages created")
    write_once(dss.replicas.named(replica), manifest_key(Kind.COLLECTION, version.fqid), version.manifest)
    dss.faults.reach("collection: manifest written")
    dss.catalog.collections.make_available(version.fqid, replica)
    dss.faults.reach("collection: available")
    return created


def change_collection(
    dss: Dss,
    replica: str,
    old: CollectionVersion,
    changes: Mapping[str, Any],
    items: Sequence[bytes],
    owned: OwnedCollection,
    *,
    replaces: Fqid | None,
) -> Fqid:
    """Create the version that follows another one, with other items; return its FQID.

    Raises as `write_collection`, and TooManyUnderWay if many others change the same version.
    """
    for version in following_versions(dss, old.fqid.version):
        new = old.with_items(Fqid(old.fqid.uuid, version), changes, items)
        with suppress(CollectionAlreadyExists):
            write_collection(dss, replica, new, owned, replaces=replaces)
            break
    return new.fqid


def delete_collection(dss: Dss, replica: str, tombstone: CollectionTombstone) -> None:
    """Hide a collection, with all versions, also those written later, for ever.

    All versions are hidden at one moment, on all replicas. Safe to repeat, by anybody and after a kill at any
    point: of several tombstones, the first counts.
    """
    first = dss.catalog.collection_tombstones.create(tombstone)
    dss.faults.reach("collection tombstone: created")
    key = tombstone_key(Kind.COLLECTION, first.uuid, None)
    write_once(dss.replicas.named(replica), key, encode(collection_tombstone_document(first)))
    dss.faults.reach("collection tombstone: written")
    dss.catalog.collection_tombstones.hide(first, replica)
    dss.faults.reach("collection tombstone: hidden")


def collection_tombstone_document(tombstone: CollectionTombstone) -> dict[str, Any]:
    """Return the content of a tombstone's object."""
    return {"email": tombstone.email, "owner": tombstone.owner}


def collection_tombstone_of(uuid: str, document: Mapping[str, Any]) -> CollectionTombstone:
    """Return the tombstone that an object's content describes."""
    return CollectionTombstone(uuid=uuid, owner=str(document["owner"]), email=str(document["email"]))
