"""Which file versions were removed for good: what names them, bundles above all, stays."""

from collections.abc import Callable, Iterable, Mapping

from shared.catalog import FileRecord
from shared.identifiers import Fqid
from shared.system import Dss


def _everybody(_: frozenset[str]) -> bool:
    return True


def purged_files(
    dss: Dss,
    fqids: Iterable[Fqid],
    records: Mapping[Fqid, FileRecord],
    may_read: Callable[[frozenset[str]], bool] = _everybody,
) -> Mapping[Fqid, str]:
    """Return those of the file versions that were removed for good, or are about to be, and the reasons.

    `records` are those that the catalog has of them. Those with readers for which `may_read` returns False
    are left out. A read for each that is purged or unknown.
    """
    doubtful = [fqid for fqid in fqids if fqid not in records or records[fqid].purged]
    current = dss.catalog.bindings.current_many(fqid.uuid for fqid in doubtful) if doubtful else {}
    reasons = {
        fqid: current[fqid.uuid].purged(fqid.version)
        for fqid in doubtful
        if fqid.uuid in current and may_read(current[fqid.uuid].record.all_readers)
    }
    return {fqid: reason for fqid, reason in reasons.items() if reason}
