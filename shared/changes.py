"""Changes: the version that follows another one, and the claim to be the only one that does."""

from collections.abc import Iterator
from datetime import timedelta

from shared.catalog import Change
from shared.catalog.database import Write
from shared.clock import next_version
from shared.errors import PreconditionFailed, TooManyUnderWay
from shared.identifiers import Fqid, Kind
from shared.system import Dss

# Longer than any request takes: a claim without a visible version is that of a killed process from then on.
_CHANGE_TAKES = timedelta(seconds=60)
# Versions that are tried, each a microsecond after the one before, until one is free.
_VERSIONS = 20


def following_versions(dss: Dss, base: str) -> Iterator[str]:
    """Yield versions for a change of a base, the next one if other writers have taken the one before.

    Changes of a base that is ahead of the clock meet there. Raises TooManyUnderWay after _VERSIONS of them.
    """
    version = base
    for _ in range(_VERSIONS):
        version = next_version(dss.clock, version)
        yield version
    raise TooManyUnderWay(f"version {base} is being changed by many at once; try again")


def require_newest(replaced: Fqid, newest: str | None) -> None:
    """Raise PreconditionFailed if another version than the one to be replaced is the newest."""
    if newest != replaced.version:
        raise PreconditionFailed(f"If-Match: {replaced.version} is not the newest version; {newest} is")


def claim_change(dss: Dss, kind: Kind, replaced: Fqid, successor: Fqid) -> Write:
    """Return the write that claims to replace a version; commit it with the head of its successor.

    Costs a read, and another one if there is a claim. Raises PreconditionFailed if somebody else has replaced
    the version, or is about to.
    """
    change = dss.catalog.changes.get(kind, replaced)
    if change and _counts(dss, kind, change):
        raise PreconditionFailed(
            f"If-Match: {replaced.version} is being replaced by {change.successor.version}"
        )
    return dss.catalog.changes.claim(kind, replaced, successor, instead_of=change)


def _counts(dss: Dss, kind: Kind, change: Change) -> bool:
    """Return whether a claim keeps others from replacing its version."""
    if kind is Kind.BUNDLE:
        bundle = dss.catalog.bundles.head(change.successor)
        visible, hidden = bool(bundle and bundle.available), bool(bundle and bundle.hidden)
    else:
        collection = dss.catalog.collections.head(change.successor)
        visible, hidden = bool(collection and collection.available), False
    if visible or hidden:
        return not hidden
    return change.age < _CHANGE_TAKES
