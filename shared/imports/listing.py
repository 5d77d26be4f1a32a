"""The list of an import: the objects of a folder or a table, slice by slice, and which can't be imported."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.access import Principal
from shared.catalog import ImportOrder
from shared.clock import Deadline
from shared.errors import DssError, Unavailable
from shared.imports.places import Places
from shared.imports.rows import row_of
from shared.imports.rules import place
from shared.imports.slices import SLICE_ROWS, Slice
from shared.imports.tables import list_table
from shared.stores.base import StoredObject, bucket_url
from shared.system import Dss

# Returns the next slice after a cursor.
Listing = Callable[[Dss, ImportOrder, Principal, Places, Mapping[str, Any], Deadline], Slice]


def listing_of(order: ImportOrder) -> Listing:
    """Return what lists an import: its folder, or its table."""
    return list_folder if order.source else list_table


def list_folder(
    dss: Dss,
    order: ImportOrder,
    who: Principal,
    places: Places,
    cursor: Mapping[str, Any],
    deadline: Deadline,
) -> Slice:
    """Return the next slice of the objects in a folder.

    Raises Forbidden, ObjectNotFound and AccessDenied if there is no such bucket, or it can't be listed.
    """
    store, bucket, prefix = _folder(dss, order)
    found, after = Slice(), ""
    for stored in store.list(bucket, prefix, after=cursor.get("after", "")):
        after = stored.key
        _add_object(dss, order, who, places, found, stored, prefix, bucket_url(store, bucket, stored.key))
        if len(found.rows) + len(found.wrong) >= SLICE_ROWS or deadline.passed:
            found.cursor = {"after": after}
            break
    return found


def _folder(dss: Dss, order: ImportOrder) -> tuple[Any, str, str]:
    store = dss.replicas.named(order.replica).store
    bucket, _, prefix = order.source.partition("://")[2].partition("/")
    return store, bucket, prefix


def _add_object(
    dss: Dss,
    order: ImportOrder,
    who: Principal,
    places: Places,
    found: Slice,
    stored: StoredObject,
    prefix: str,
    url: str,
) -> None:
    if stored.key.endswith("/") and stored.size == 0:
        # Consoles of both clouds make such an object for an empty folder.
        found.counts.update(folders=1)
        return
    folder, name = place(stored.key, prefix, order.depth)
    root = url.removesuffix(stored.key)
    try:
        dss.bucket_policy.source(who, url).require()
        places(url)
        found.add(row_of(order, url, stored, root + folder, name))
    except DssError as error:
        if isinstance(error, Unavailable):
            raise
        found.refuse(url, error)
