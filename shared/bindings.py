"""Bindings: change who may read and write a UUID, and have everything that knows of it follow.

A binding is an immutable object like a manifest, `access/{uuid}.{version}`, and the newest of a UUID counts.
So bindings are replicated, audited and rebuilt as all other objects are.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from shared.access import Resource, narrowed
from shared.catalog import Binding, CurrentBinding
from shared.checkouts.objects import remove_shared_copies
from shared.clock import new_version, next_version
from shared.errors import TooManyUnderWay
from shared.identifiers import Fqid, Kind, manifest_key
from shared.manifests import encode, write_once
from shared.parallel import map_in_threads
from shared.system import Dss

# How often a change starts again because another one was faster.
_ATTEMPTS = 20
# Files that are bound at once with their bundle.
_FILES_AT_ONCE = 16


def change_binding(dss: Dss, uuid: str, by: str, change: Callable[[Binding], Binding]) -> Binding:
    """Change the binding of a UUID, which need not exist yet, and return the new one.

    It is in effect everywhere when this returns. `change` gets the one in effect, with no readers if there is
    none; if it changes nothing, nothing is written. Safe to repeat after a kill at any point: a binding that
    was left on its way is finished first. Raises TooManyUnderWay if many others change it at once.
    """
    return _change(dss, uuid, by, change, _spread)


def _change(
    dss: Dss,
    uuid: str,
    by: str,
    change: Callable[[Binding], Binding],
    spread: Callable[[Dss, Binding], object],
) -> Binding:
    for _ in range(_ATTEMPTS):
        current = dss.catalog.bindings.current(uuid)
        if current and (left := _left_on_its_way(dss, current)):
            _finish(dss, left, spread)
            continue
        before = current.binding if current else Binding(fqid=Fqid(uuid, ""))
        changed = change(before)
        if changed == before:
            return before
        new = replace(changed, fqid=Fqid(uuid, _next_version(dss, before)), by=by)
        dss.faults.reach("access: before the binding is claimed")
        if dss.catalog.bindings.claim(new, current):
            _finish(dss, new, spread)
            return new
    raise TooManyUnderWay(f"access of {uuid} is being changed by many at once; try again")


def _next_version(dss: Dss, before: Binding) -> str:
    return next_version(dss.clock, before.fqid.version) if before.fqid.version else new_version(dss.clock)


def _left_on_its_way(dss: Dss, current: CurrentBinding) -> Binding | None:
    if current.claimed == current.binding.fqid.version:
        known = dss.catalog.bindings.get(current.binding.fqid)
        return known if known and not known.available else None
    return dss.catalog.bindings.get(Fqid(current.binding.fqid.uuid, current.claimed))


def _finish(dss: Dss, binding: Binding, spread: Callable[[Dss, Binding], object]) -> None:
    """Write the object of a binding that was claimed, and put it into effect."""
    dss.faults.reach("access: binding claimed")
    primary = dss.replicas.primary
    write_once(primary, manifest_key(Kind.ACCESS, binding.fqid), encode(binding_document(binding)))
    dss.faults.reach("access: object written")
    _take_effect(dss, binding, primary.name, spread)


def take_effect(dss: Dss, binding: Binding, replica: str) -> None:
    """Put a binding into effect that a replica has: from then on no read sees what it forbids.

    Safe to repeat, in any order with other bindings of the UUID: the newest counts.
    """
    _take_effect(dss, binding, replica, _spread)


def _take_effect(dss: Dss, binding: Binding, replica: str, spread: Callable[[Dss, Binding], object]) -> None:
    bindings = dss.catalog.bindings
    # All heads follow a binding before it becomes available anywhere.
    if not binding.available:
        bindings.put_into_effect(binding)
        dss.faults.reach("access: in effect")
        current = bindings.current(binding.fqid.uuid)
        if current and current.binding.fqid == binding.fqid:
            spread(dss, binding)
    bindings.make_available(binding.fqid, replica)
    dss.faults.reach("access: available")


def _spread(dss: Dss, binding: Binding) -> None:
    """Have all heads follow a binding: those of its UUID, and bundles that name it as a file."""
    bundles = _bind_heads(dss, binding)
    for bundle in sorted(bundles):
        narrow_bundle(dss, bundle)
    if binding.with_files:
        bind_files(dss, binding, {file for bundle in bundles for file in _files_of(dss, bundle)})


def _bind_heads(dss: Dss, binding: Binding) -> set[Fqid]:
    """Have the heads of a UUID follow its binding; return the bundles whose content it is, or is part of."""
    heads = dss.catalog.bindings.bind_heads(binding)
    dss.faults.reach("access: heads bound")
    bundles = {Fqid.parse(name) for collection, name in heads if collection == "bundles"}
    files = [Fqid.parse(name) for collection, name in heads if collection == "files"]
    if Resource(name="", readers=binding.readers).is_managed:
        records = dss.catalog.files.get_many(files).values()
        for replica in dss.replicas:
            remove_shared_copies(replica, sorted(bundles), records)
    return bundles | (set(dss.catalog.bindings.bundles_with_file(binding.fqid.uuid)) if files else set())


def bind_files(dss: Dss, binding: Binding, files: Iterable[str]) -> None:
    """Bind files, by their UUIDs, as the bundle that they are bound with.

    Bundles that name them are narrowed once all are bound, and not for each: so the cost grows with the
    number of files, and not with its square. A kill in between is mended since the bundle's binding is not
    available until all of this has been done.
    """

    def follow(file: str) -> set[Fqid]:
        _change(dss, file, binding.by, lambda before: _as_bundle(before, binding), _bind_heads)
        return set(dss.catalog.bindings.bundles_with_file(file))

    bundles: set[Fqid] = set()
    for found in map_in_threads(follow, sorted(files), threads=_FILES_AT_ONCE):
        bundles |= found
    for bundle in sorted(bundles):
        narrow_bundle(dss, bundle)


def _as_bundle(before: Binding, bundle: Binding) -> Binding:
    return replace(before, readers=bundle.readers, owner_group=bundle.owner_group)


def narrow_bundle(dss: Dss, bundle: Fqid) -> None:
    """Have the head of a bundle version say who may read its content: who may read it, and all its files."""

    def readers_of(_: Any) -> frozenset[str]:
        head = dss.catalog.bundles.head(bundle)
        if head is None:
            return frozenset()
        files = dss.catalog.bundles.files(head, 0, head.file_count)
        records = dss.catalog.files.get_many({Fqid(file.uuid, file.version) for file in files})
        own = {record.readers for record in records.values() if record.readers}
        return narrowed([head.readers, *own], dss.policy.default) if own else frozenset()

    dss.catalog.bindings.narrow(bundle, readers_of)


def _files_of(dss: Dss, bundle: Fqid) -> set[str]:
    head = dss.catalog.bundles.head(bundle)
    return {file.uuid for file in dss.catalog.bundles.files(head, 0, head.file_count)} if head else set()


def bound_resource(kind: Kind, uuid: str, current: CurrentBinding | None) -> Resource:
    """Return a UUID as a resource, with what its binding says."""
    name = f"{kind.removesuffix('s')} {uuid}"
    if current is None:
        return Resource(name=name)
    binding = current.binding
    return Resource(name=name, readers=binding.all_readers, owner_group=binding.owner_group)


def binding_document(binding: Binding) -> dict[str, Any]:
    """Return the content of a binding's object."""
    return {
        "format": "0.0.1",
        "readers": sorted(binding.readers),
        "owner_group": binding.owner_group,
        "with_files": binding.with_files,
        "by": binding.by,
    }


def binding_of_document(fqid: Fqid, document: Mapping[str, Any]) -> Binding:
    """Return the binding that an object's content describes."""
    return Binding(
        fqid=fqid,
        readers=frozenset(document["readers"]),
        owner_group=str(document["owner_group"]),
        with_files=bool(document["with_files"]),
        by=str(document["by"]),
    )
