"""Where an object to import is: in a bucket of a replica's cloud, or on a web server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.catalog import ImportOrder
from shared.errors import IllegalArguments
from shared.imports.web import SCHEME, WebStore, check_web_url
from shared.replicas import Replica
from shared.sources import source_at
from shared.stores.base import Reader, StoredObject
from shared.system import Dss


class Readable(Protocol):
    """A store of which this reads objects."""

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object."""
        ...

    def read(self, source: StoredObject, first: int, size: int) -> Reader:
        """Return a reader of a range."""
        ...


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an object is, and the replica on which it becomes a file; `is_near` if in one store."""

    store: Readable
    bucket: str
    key: str
    replica: Replica
    is_near: bool

    def stat(self) -> StoredObject:
        """Describe the object. Raises the errors of its store."""
        return self.store.stat(self.bucket, self.key)


Places = Callable[[str], Place]


def places_of(dss: Dss, order: ImportOrder, web: WebStore) -> Places:
    """Return what finds the place of a URL, in no request.

    It raises UnknownSourceSchema, and IllegalArguments for a malformed URL, or one that is in another cloud
    than the replica of the order.
    """
    replica = dss.replicas.named(order.replica)

    def place_of(url: str) -> Place:
        if url.startswith(f"{SCHEME}://"):
            host, _, path = check_web_url(url)[len(SCHEME) + 3 :].partition("/")
            _check_takes_web(replica)
            return Place(store=web, bucket=f"{SCHEME}://{host}", key=path, replica=replica, is_near=False)
        where = source_at(dss.replicas, url)
        if where.replica.store is not replica.store:
            raise IllegalArguments(
                f"source_url: it is not in the cloud of replica {order.replica}; import it by another table"
            )
        return Place(store=replica.store, bucket=where.bucket, key=where.key, replica=replica, is_near=True)

    return place_of


def _check_takes_web(replica: Replica) -> None:
    """Raise IllegalArguments unless a replica takes parts of an object before its name is known.

    The name of a blob is its checksums, which are known when all of it was read.
    """
    if not replica.store.parts_prefix:
        raise IllegalArguments(
            f"source_url: objects of web servers can't go to replica {replica.name} first; import them to "
            "the primary replica, from which they are replicated"
        )
