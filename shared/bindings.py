"""Bindings: change who may read and write a UUID, and have everything that knows of it follow.

A binding is an immutable object like a manifest, `access/{uuid}.{version}`, and the newest of a UUID counts.
So bindings are replicated, audited and rebuilt as all other objects are.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, cast

from shared.access import Resource, check_group, narrowed
from shared.catalog import Binding, BundleHead, CurrentBinding, PagedFile, VersionedCatalog
from shared.catalog.versioned import Current
from shared.checkouts.objects import remove_shared_copies
from shared.errors import AlreadyOwned, CatalogBroken
from shared.events.readers import follow_readers
from shared.identifiers import Fqid, Kind
from shared.parallel import map_in_threads
from shared.purged_files import purged_files
from shared.system import Dss
from shared.versioned_objects import VersionedObjects, change_newest, following, settled

# Files that are bound at once with their bundle.
_FILES_AT_ONCE = 16

# Called with the number of files that are bound so far with a bundle, and of all of them.
Notify = Callable[[int, int], None]


def _quiet(done: int, total: int) -> None:
    pass


def change_binding(
    dss: Dss, uuid: str, by: str, change: Callable[[Binding], Binding], notify: Notify = _quiet
) -> Binding:
    """Change the binding of a UUID, which need not exist yet, and return the new one.

    It is in effect everywhere when this returns. `change` gets the one in effect, with no readers if there is
    none; if it changes nothing, nothing is written. Safe to repeat after a kill at any point: a binding that
    was left on its way is finished first. Raises TooManyUnderWay if many others change it at once.
    """

    def by_itself(before: Binding) -> Binding:
        changed = change(before)
        return changed if changed == before else replace(changed, with_bundle="")

    return change_newest(dss, Bindings(notify), Binding(fqid=Fqid(uuid, "")), by, by_itself)


class Bindings(VersionedObjects[Binding]):
    """Bindings, as objects of which the newest counts."""

    kind = Kind.ACCESS
    noun = "access"

    def __init__(self, notify: Notify = _quiet) -> None:
        self._notify = notify

    def catalog(self, dss: Dss) -> VersionedCatalog[Binding]:
        """Return the catalog of bindings."""
        return dss.catalog.bindings

    def document(self, record: Binding) -> dict[str, Any]:
        """Return the content of a binding's object."""
        return {
            "format": "0.0.1",
            "readers": sorted(record.readers),
            "owner_group": record.owner_group,
            "with_files": record.with_files,
            "with_bundle": record.with_bundle,
            "by": record.by,
        }

    def record(self, fqid: Fqid, document: Mapping[str, Any]) -> Binding:
        """Return the binding that an object's content describes."""
        return Binding(
            fqid=fqid,
            readers=frozenset(document["readers"]),
            owner_group=str(document["owner_group"]),
            with_files=bool(document["with_files"]),
            with_bundle=str(document["with_bundle"]),
            by=str(document["by"]),
        )

    def stamped(self, record: Binding, fqid: Fqid, by: str) -> Binding:
        """Return a binding with its version and its author."""
        return replace(record, fqid=fqid, by=by)

    def spread(self, dss: Dss, record: Binding) -> None:
        """Have all heads follow a binding: those of its UUID, and bundles that name it as a file."""
        _spread(dss, record, self._notify)


class _FilesOfBundle(Bindings):
    """Bindings of files that are bound with their bundle, which is narrowed when all of them are."""

    def spread(self, dss: Dss, record: Binding) -> None:
        """Have all heads of the file follow."""
        _bind_heads(dss, record)


def _spread(dss: Dss, binding: Binding, notify: Notify) -> None:
    bundles, is_file = _bind_heads(dss, binding)
    dss.catalog.bindings.mark_change()
    if is_file:
        bundles |= set(dss.catalog.bindings.bundles_with_file(binding.fqid.uuid))
    for bundle in sorted(bundles):
        _renew_readers(dss, bundle)
    if binding.with_files:
        bind_files(dss, binding, {file for bundle in bundles for file in _files_of(dss, bundle)}, notify)


def _bind_heads(dss: Dss, binding: Binding) -> tuple[set[Fqid], bool]:
    """Have the heads of a UUID follow its binding; return its bundles, and whether it is a file.

    Copies of files leave the shared bucket; those of bundles do when they are narrowed.
    """
    heads = dss.catalog.bindings.bind_heads(binding)
    dss.faults.reach("access: heads bound")
    bundles = {Fqid.parse(name) for collection, name in heads if collection == "bundles"}
    files = [Fqid.parse(name) for collection, name in heads if collection == "files"]
    if Resource(name="", readers=binding.readers).is_managed:
        records = dss.catalog.files.get_many(files).values()
        for replica in dss.replicas:
            remove_shared_copies(replica, [], records)
    return bundles, bool(files)


def bind_files(
    dss: Dss,
    binding: Binding,
    files: Collection[str],
    notify: Notify = _quiet,
    *,
    only_unbound: bool = False,
) -> None:
    """Bind files, by their UUIDs, as the bundle that they are bound with.

    A file that was bound after the bundle stays as it is. With `only_unbound` so does every file that is
    bound or owned: who writes a version of the bundle may name files that are not theirs.

    Bundles that name them are narrowed once all are bound, and not for each: so the cost grows with the
    number of files, and not with its square. A kill in between is mended since the bundle's binding is not
    available until all of this has been done.
    """

    def follow(file: str) -> None:
        def as_bundle(before: Binding) -> Binding:
            if _is_bound_since(before, binding) or (only_unbound and (before.readers or before.owner_group)):
                return before
            return replace(
                before,
                readers=binding.readers,
                owner_group=binding.owner_group,
                with_bundle=str(binding.fqid),
            )

        change_newest(dss, _FilesOfBundle(), Binding(fqid=Fqid(file, "")), binding.by, as_bundle)

    def bundles_of(file: str) -> set[Fqid]:
        return set(dss.catalog.bindings.bundles_with_file(file))

    followed = map_in_threads(follow, sorted(files), threads=_FILES_AT_ONCE)
    for done, _ in enumerate(followed, start=1):
        notify(done, len(files))
    dss.catalog.bindings.mark_change()
    found = map_in_threads(bundles_of, sorted(files), threads=_FILES_AT_ONCE)
    for bundle in sorted(set().union(*found)):
        _renew_readers(dss, bundle)


def _is_bound_since(file: Binding, bundle: Binding) -> bool:
    """Return whether a file was bound after a bundle: by itself, or with a later binding of a bundle.

    Of one that was bound with this bundle the bundle's version counts: two processes may follow two of them.
    """
    uuid, _, version = file.with_bundle.partition(".")
    return (version if uuid == bundle.fqid.uuid else file.fqid.version) > bundle.fqid.version


def _renew_readers(dss: Dss, bundle: Fqid) -> None:
    """Have the head of a bundle version follow who may read its content, then all that is derived from it."""
    narrow_bundle(dss, bundle)
    head = dss.catalog.bundles.head(bundle)
    if head and Resource(name="", readers=head.content_readers).is_managed:
        for replica in dss.replicas:
            remove_shared_copies(replica, [bundle], [])
    follow_readers(dss, bundle)


def narrow_bundle(dss: Dss, bundle: Fqid) -> None:
    """Have the head of a bundle version say who may read its content, and whether files of it are purged.

    Those may read it who may read the bundle, and all its files.
    """

    def content() -> tuple[frozenset[str], bool]:
        head = dss.catalog.bundles.head(bundle)
        if head is None:
            return frozenset(), False
        named = {Fqid(file.uuid, file.version) for file in _files(dss, head)}
        records = dss.catalog.files.get_many(named)
        own = {record.readers for record in records.values() if record.readers}
        readers = narrowed([head.readers, *own], dss.policy.default) if own else frozenset()
        return readers, bool(purged_files(dss, named, records))

    dss.catalog.bindings.narrow(bundle, content)


def bind_content(dss: Dss, bundle: Fqid, unbound_at: str | None = None) -> None:
    """Bind the files of a new bundle version with it, if its UUID is bound so, and the version to its files.

    Call it when its pages are written, and before reads see it: later bindings of it or of a file find them.
    `unbound_at` is the mark of the last change (`BindingCatalog.last_change`) at which none of that was bound
    or removed for good, read before the heads of the files; None if something was, or it is not known.
    """
    change = dss.catalog.bindings.last_change()
    if change and change != unbound_at:
        current = dss.catalog.bindings.current(bundle.uuid)
        if current and current.record.with_files:
            bind_files(dss, current.record, _files_of(dss, bundle), only_unbound=True)
        narrow_bundle(dss, bundle)


def _files_of(dss: Dss, bundle: Fqid) -> set[str]:
    head = dss.catalog.bundles.head(bundle)
    return {file.uuid for file in _files(dss, head)} if head else set()


def _files(dss: Dss, head: BundleHead) -> list[PagedFile]:
    """Return the files of a bundle; none while its writer, who calls `bind_content` next, writes pages."""
    try:
        return dss.catalog.bundles.files(head, 0, head.file_count)
    except CatalogBroken:
        if head.available:
            raise
        return []


def claimed_by(
    dss: Dss, uuid: str, group: str, by: str, current: CurrentBinding | None, *, is_new: bool
) -> Binding | None:
    """Return the binding by which a group claims a bundle's UUID with its first version.

    `is_new` is whether the UUID had no version before `current` was read. Returns None if the group owns it.
    Raises AlreadyOwned if another one does, or if it has versions and no owner.
    """
    before = current.record if current else Binding(fqid=Fqid(uuid, ""))
    if before.owner_group == group:
        return None
    if before.owner_group:
        raise AlreadyOwned(f"bundle {uuid} belongs to group {before.owner_group}; {group} can't claim it")
    if not is_new:
        raise AlreadyOwned(f"bundle {uuid} has versions, and no owner; only an operator can give it one")
    return following(dss, Bindings(), replace(before, owner_group=group), before.fqid, by)


def writable_bundle(
    dss: Dss, uuid: str, owner_group: str | None, by: Callable[[], str], require: Callable[[Resource], None]
) -> tuple[CurrentBinding | None, Binding | None]:
    """Return the binding of a bundle's UUID, and one by which a group claims it with its first version.

    `require` raises unless somebody may write a resource; `by` returns who it is. Raises what it raises if
    they may not write the UUID, or for that group, and AlreadyOwned if the group that is asked for can't own
    it. The default group doesn't own it then.
    """
    group = check_group(owner_group, "owner_group") if owner_group else dss.settings.owner_group
    # Before the binding is read: a version that has been claimed since comes with its owner.
    is_new = bool(group) and dss.catalog.bundles.is_new(uuid)
    binding = settled_binding(dss, uuid)
    require(bound_resource(Kind.BUNDLE, uuid, binding))
    has_owner = bool(binding and binding.record.owner_group)
    if not owner_group and (has_owner or not is_new):
        return binding, None
    claim = claimed_by(dss, uuid, group, by(), binding, is_new=is_new)
    if claim:
        require(bound_resource(Kind.BUNDLE, uuid, claim))
    return binding, claim


def settled_binding(dss: Dss, uuid: str) -> CurrentBinding | None:
    """Return the binding of a UUID, in one read; finish first what a killed claim of an owner has left."""
    current = dss.catalog.bindings.current(uuid)
    if current and current.record.owner_group:
        return cast(CurrentBinding | None, settled(dss, Bindings(), uuid))
    return current


def bound_resource(
    kind: Kind,
    uuid: str,
    binding: CurrentBinding | Binding | None,
    version: str | None = None,
    *,
    absent: bool = False,
) -> Resource:
    """Return a UUID, or a version of it, as a resource, with what its binding says.

    Of a UUID without version it says that it was removed for good if all versions were; if `absent`, because
    none is left, also if only some were.
    """
    name = f"{kind.removesuffix('s')} {uuid}"
    if binding is None:
        return Resource(name=name)
    purged = ""
    if isinstance(binding, Current):
        purged = binding.purged_last if absent and version is None else binding.purged(version)
        binding = binding.record
    if purged and version:
        name += f".{version}"
    return Resource(name=name, readers=binding.all_readers, owner_group=binding.owner_group, purged=purged)
