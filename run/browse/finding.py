"""Finds what a page is about, on the replica that is asked or the first that has it.

The same functions decide and answer as for v1.
"""

from collections.abc import Callable
from typing import TypeVar

from run.api.bundles import find_bundle
from run.api.call import Call
from shared.access import Resource
from shared.catalog import BundleHead
from shared.errors import NotFound
from shared.identifiers import Fqid

Found = TypeVar("Found")


def on_some_replica(call: Call, wanted: str, find: Callable[[str], Found]) -> tuple[str, Found]:
    """Return what is found on a replica, and its name: the wanted one, or else the first that has it.

    Raises what `find` raises; the first NotFound if no replica has it, which says nothing of the others.
    """
    if wanted:
        return wanted, find(call.dss.replicas.named(wanted).name)
    first, *others = call.dss.replicas.names
    try:
        return first, find(first)
    except NotFound as error:
        for name in others:
            try:
                return name, find(name)
            except NotFound:
                continue
        raise error


def find_hidden(call: Call, uuid: str, version: str | None) -> BundleHead | None:
    """Return a deleted version that the caller could read before; None if there is none.

    Without a version the newest one, if all of a UUID's are deleted. Raises what decides about reads.
    """
    bundles, names = call.dss.catalog.bundles, call.dss.replicas.names
    heads = [bundles.head(Fqid(uuid, version))] if version else bundles.versions(uuid)[-1:]
    head = next(iter(heads), None)
    if head is None or not (head.hidden and head.hidden_by and any(map(head.was_visible, names))):
        return None
    return head if call.sees(Resource(name=f"bundle {uuid}", readers=head.readers)) else None


def find_bundle_anywhere(call: Call, uuid: str, wanted: str, version: str | None) -> tuple[str, BundleHead]:
    """Return a bundle version, or the newest, and a replica that has it. Raises what `find_bundle` raises."""
    return on_some_replica(call, wanted, lambda name: find_bundle(call, uuid, name, version))
