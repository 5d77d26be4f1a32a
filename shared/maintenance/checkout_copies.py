"""Look at the copies of named bundles and files in the shared checkout buckets, and remove them."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from shared.catalog import CheckoutOrder
from shared.checkouts.objects import (
    CheckoutContent,
    CheckoutCopy,
    bundle_prefix,
    copy_of_file,
    find_copies,
    remove_shared_copies,
)
from shared.errors import IllegalArguments, NotFound
from shared.identifiers import Kind, parse_key
from shared.replicas import Replica
from shared.stores.base import StoredObject
from shared.system import Dss


class CopyState(StrEnum):
    """What a copy is at one moment."""

    RIGHT = "right"
    MISSING = "missing"
    # Another object is at its key.
    DAMAGED = "damaged"
    # It is right, and nobody is sent to it any more: the next checkout renews it.
    EXPIRING = "expiring"


@dataclass(frozen=True, kw_only=True)
class CopyLook:
    """A copy, and what it is."""

    copy: CheckoutCopy
    state: CopyState


def order_of(replica: Replica, key: str) -> CheckoutOrder:
    """Return the order that checks a bundle or file version out into the shared bucket, given its key.

    Raises IllegalArguments for any other key.
    """
    name = parse_key(key)
    if name is None or name.dead or name.kind not in (Kind.BUNDLE, Kind.FILE):
        raise IllegalArguments(
            f"{key[:120]!r} is no key of a bundle or file: bundles/UUID.VERSION or files/UUID.VERSION"
        )
    return CheckoutOrder(kind=name.kind, fqid=name.fqid, replica=replica.name, bucket=replica.checkout_bucket)


def look_at_copies(dss: Dss, order: CheckoutOrder) -> Iterator[CopyLook]:
    """Yield the copies of an order in the order of their keys. Changes nothing.

    A request for each thousand files, and a read for each page. Raises as `CheckoutContent` does.
    """
    content = CheckoutContent(dss, order)
    for number in range(content.pages):
        copies = content.page(number)
        found = find_copies(copies)
        for copy in copies:
            yield CopyLook(copy=copy, state=_state(dss, copy, found.get(copy.key)))


def _state(dss: Dss, copy: CheckoutCopy, found: StoredObject | None) -> CopyState:
    if found is None:
        return CopyState.MISSING
    if not copy.is_proved_by(found):
        return CopyState.DAMAGED
    return CopyState.RIGHT if copy.is_current(found, dss) else CopyState.EXPIRING


def remove_copies(dss: Dss, order: CheckoutOrder, *, dry_run: bool) -> int:
    """Remove what is in the shared bucket of a bundle or file, and return how many objects that are.

    Also of one that was deleted. Safe to repeat; a checkout that is running may put them there again. Raises
    NotFound for a file that the catalog does not know, whose copy has no known name.
    """
    replica = dss.replicas.named(order.replica)
    if order.kind is Kind.BUNDLE:
        found = sum(1 for _ in replica.store.list(order.bucket, f"{bundle_prefix(order.fqid)}/"))
        if found and not dry_run:
            remove_shared_copies(replica, [order.fqid], [])
        return found
    record = dss.catalog.files.get(order.fqid)
    if record is None:
        raise NotFound(f"the catalog does not know file {order.fqid}")
    found = len(find_copies([copy_of_file(replica, order.bucket, record)]))
    if found and not dry_run:
        remove_shared_copies(replica, [], [record])
    return found
