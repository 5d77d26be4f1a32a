"""Which bundle a directory becomes, by what earlier uploads of it recorded.

An interrupted upload goes on with the bundle that it began. A directory that has become a bundle, and has
changed since, is another data set: a new bundle, unless the caller asks for a new version of that one. Files
that are the same are shared by both.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dss.clock import Clock, new_version
from dss.errors import InvalidInput
from dss.references import resolve
from dss.transfer.names import is_indexed
from dss.transfer.upload_state import BundleEntry, FileEntry


@dataclass(frozen=True, kw_only=True)
class BundleNaming:
    """What the caller says about the bundle: its UUID and version, or that it updates the recorded one."""

    bundle_uuid: str | None
    version: str | None
    update: bool

    def updates(self, known: BundleEntry | None) -> bool:
        """Whether changed content makes a new version of the recorded bundle, not a new bundle."""
        return known is not None and (self.update or self.bundle_uuid == known.uuid)

    def first(self, known: BundleEntry | None, clock: Clock) -> BundleEntry:
        """Return the bundle version to begin with: the recorded one if nothing else is asked for.

        Raises InvalidInput if there is none to update.
        """
        if self.update and known is None:
            raise InvalidInput(
                "--update: no upload of this directory is recorded here; "
                "--bundle-uuid UUID makes a new version of any bundle"
            )
        if known and self.bundle_uuid in (None, known.uuid) and self.version in (None, known.version):
            return known
        keeps = known is not None and (self.update or not known.done)
        own = known.uuid if known and keeps else str(uuid.uuid4())
        return BundleEntry(uuid=self.bundle_uuid or own, version=self.version or new_version(clock))

    def after_change(self, known: BundleEntry, clock: Clock) -> BundleEntry:
        """Return the bundle version for content that differs from that of the recorded one."""
        own = known.uuid if self.updates(known) else str(uuid.uuid4())
        return BundleEntry(uuid=self.bundle_uuid or own, version=self.version or new_version(clock))


def uuid_to_write(text: str, url: str) -> str:
    """Return the UUID of the bundle that a text names on the DSS at `url`, as one to make a version of.

    Raises InvalidInput if it names nothing there, or a version: versions never change.
    """
    reference = resolve(text, url=url)
    if reference.version:
        raise InvalidInput(
            f"--bundle-uuid: {reference.fqid} is a version, which never changes; "
            f"give {reference.uuid}, and --version if the new one is to have a version of your choice"
        )
    return reference.uuid


def rows_of(entries: Sequence[FileEntry]) -> list[dict[str, Any]]:
    """Return the files of a bundle, as its PUT takes them."""
    return [
        {"uuid": entry.uuid, "version": entry.version, "name": entry.name, "indexed": is_indexed(entry.name)}
        for entry in entries
    ]


def digest_of(rows: Sequence[Mapping[str, Any]], creator_uid: int) -> str:
    """Return a digest that is equal for the same bundle content only."""
    return hashlib.sha256(json.dumps([list(rows), creator_uid]).encode()).hexdigest()


def was_bundle(directory: object, known: BundleEntry) -> str:
    """Return the line for those whose directory was a bundle, and is a new one now."""
    return (
        f"{directory} was bundle {known.uuid}.{known.version}, and has changed: this is a new bundle. "
        f"For a new version of the old one, run this again with --bundle-uuid {known.uuid}; "
        "next time --update does so"
    )
