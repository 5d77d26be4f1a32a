"""The shared checkout bucket: everybody reads it, so nothing stays there that only some may read.

Who binds something, or removes it for good, removes the copies that are there once all heads say so. Who
makes copies looks at the head again once they are made. So one of the two sees what the other has done.
"""

from collections.abc import Iterable

from shared.catalog import CheckoutOrder, CopyOrder, FileRecord
from shared.checkouts.objects import (
    CheckoutContent,
    copy_of_file,
    find_copies,
    put_copy,
    remove_shared_copies,
)
from shared.copying.blobs import prove
from shared.errors import CheckoutFailed, NotFound
from shared.identifiers import Kind
from shared.system import Dss


def present_content(
    dss: Dss, order: CheckoutOrder, asked: frozenset[str] | None = None, *, keys: Iterable[str] = ()
) -> CheckoutContent:
    """Return the present content of an order. Raise NotFound and CheckoutFailed as `CheckoutContent` does.

    Before it raises, it removes the copies of the bundle or file, and objects at `keys`, if the order is for
    the shared bucket. Buckets of users stay as they are.
    """
    try:
        return CheckoutContent(dss, order, asked)
    except (CheckoutFailed, NotFound):
        _remove_copies(dss, order, keys)
        raise


def _remove_copies(dss: Dss, order: CheckoutOrder, keys: Iterable[str]) -> None:
    replica = dss.replicas.named(order.replica)
    if order.bucket != replica.checkout_bucket:
        return
    if order.kind is Kind.BUNDLE:
        remove_shared_copies(replica, [order.fqid], [])
    elif record := dss.catalog.files.get(order.fqid):
        remove_shared_copies(replica, [], [record])
    # Also of a file of which the catalog knows nothing any more.
    for key in keys:
        replica.store.delete(order.bucket, key)


def check_large_copy(dss: Dss, copy: CopyOrder) -> None:
    """Return unless a large copy is in the shared bucket, and may not be there.

    Removes it then, and raises NotFound or CheckoutFailed. Takes a read if it is in that bucket.
    """
    replica = dss.replicas.named(copy.replica)
    if copy.checkout_of and copy.bucket == replica.checkout_bucket:
        kind, fqid = copy.checkout_of
        order = CheckoutOrder(kind=kind, fqid=fqid, replica=copy.replica, bucket=copy.bucket)
        present_content(dss, order, keys=[copy.key])


def cache_file(dss: Dss, replica_name: str, record: FileRecord) -> str | None:
    """Copy a file into a replica's checkout bucket, as GET /files with `directurl` does.

    Returns None if the copy is proved when this returns, else the id of the job that makes it. Raises
    NotFound if the replica does not have the file, CheckoutFailed if it is managed, and the errors of
    `put_copy`.
    """
    if replica_name not in record.available:
        raise NotFound(f"replica {replica_name} does not have file {record.fqid}")
    replica = dss.replicas.named(replica_name)
    copy = copy_of_file(replica, replica.checkout_bucket, record)
    order = CheckoutOrder(kind=Kind.FILE, fqid=record.fqid, replica=replica_name, bucket=copy.bucket)
    job_id = put_copy(dss, copy, find_copies([copy]).get(copy.key))
    # It may have been bound, or removed for good, since the record was read.
    present_content(dss, order, keys=[copy.key])
    if job_id is None:
        prove(copy.store, copy.bucket, copy.key, size=copy.size, checksums=copy.checksums)
    return job_id
