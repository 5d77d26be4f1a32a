"""Many small files at once: their blobs and manifests side by side, their heads in one commit.

The steps are those of a single file (`shared/files.py`), each taken for all files before the next, so every
guarantee is the same: no name is claimed before its content is stored, and nothing is readable before the
last step. A file that can't take a step with the others takes it alone, which finds out why.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.catalog import CurrentBinding, FileRecord
from shared.copying.blobs import hand_on
from shared.errors import DssError, ObjectExists, Unavailable
from shared.identifiers import Fqid, Kind, manifest_key
from shared.manifests import encode, file_manifest, write_once
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.system import Dss
from shared.visibility import make_visible

# Files of a batch. Firestore: a commit had 500 writes at most for long; that of the heads has three a file.
MOST_FILES = 100
# Bytes of their content together: with base64 it fits into the default of DSS_MAX_BODY_BYTES.
MOST_BYTES = 4 * 1024 * 1024
# Objects that one batch writes at once.
_THREADS = 16


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file version to create, and its content, of which the checksums of the record were computed."""

    record: FileRecord
    content: bytes

    @property
    def fqid(self) -> Fqid:
        """Its UUID and version."""
        return self.record.fqid


# Of each file: whether the version is new, False if it was written before; or why it was not written.
Outcomes = Mapping[Fqid, bool | DssError]


def write_files(
    dss: Dss, replica_name: str, files: Sequence[NewFile], bindings: Mapping[str, CurrentBinding]
) -> Outcomes:
    """Create file versions from content in memory; those written are readable on the replica after this.

    No two have one FQID; `bindings` are the last reads of their UUIDs'. Safe to repeat after a kill at any
    point. What is wrong with one file (FileAlreadyExists, Gone, a StoreError) is its outcome, and keeps no
    other from being written. Raises Unavailable if a back end does not answer while all take a step together:
    then some may be written.
    """
    batch = _Batch(dss, dss.replicas.named(replica_name), bindings)
    dss.faults.reach("files: before the blobs are written")
    batch.each(files, batch.write_blob)
    dss.faults.reach("files: blobs written")
    alone = batch.claim(batch.going_on(files))
    dss.faults.reach("files: heads created")
    apart = {file.fqid for file in alone}
    batch.settle([file for file in batch.going_on(files) if file.fqid not in apart])
    batch.each(alone, batch.finish_alone)
    return batch.outcomes


class _Batch:
    """What has become of each file so far; a file without an outcome goes on."""

    def __init__(self, dss: Dss, replica: Replica, bindings: Mapping[str, CurrentBinding]) -> None:
        self._dss = dss
        self._replica = replica
        self._bindings = bindings
        self.outcomes: dict[Fqid, bool | DssError] = {}
        self._new: set[Fqid] = set()

    def going_on(self, files: Iterable[NewFile]) -> list[NewFile]:
        return [file for file in files if file.fqid not in self.outcomes]

    def each(self, files: Iterable[NewFile], work: Callable[[NewFile], bool | DssError | None]) -> None:
        """Do the work for each file that goes on, in threads; what it returns or raises, if any, ends it."""

        def attempt(file: NewFile) -> bool | DssError | None:
            try:
                return work(file)
            except Unavailable:
                raise
            except DssError as error:
                return error

        going_on = self.going_on(files)
        for file, outcome in zip(going_on, map_in_threads(attempt, going_on, threads=_THREADS), strict=True):
            if outcome is not None:
                self.outcomes[file.fqid] = outcome

    def write_blob(self, file: NewFile) -> None:
        """Write a blob if it isn't there; also to the primary replica, as a single file's."""
        key, content_type = file.record.checksums.blob_key, file.record.content_type
        # The name of an object that exists is its content, which was computed before it was written.
        with suppress(ObjectExists):
            self._replica.store.create(self._replica.bucket, key, file.content, content_type)
        self._dss.faults.reach("files: a blob written")
        primary = self._dss.replicas.primary
        if primary.store is not self._replica.store:
            hand_on(primary, content_type, file.content, file.record.checksums)

    def claim(self, files: Sequence[NewFile]) -> Sequence[NewFile]:
        """Create the heads; return the files that have to take all further steps alone.

        That is one whose name has other content, and those of which the commit does not say which it is that
        may not be written. A repetition finds some heads there: these files go on where they were left.
        """
        if self._create(files):
            self._new.update(file.fqid for file in files)
            return []
        existing = self._dss.catalog.files.get_many(file.fqid for file in files)
        absent = [file for file in files if file.fqid not in existing]
        if absent and len(absent) < len(files) and self._create(absent):
            self._new.update(file.fqid for file in absent)
            absent = []
        other = []
        for file in files:
            if found := existing.get(file.fqid):
                if not found.same_content(file.record):
                    other.append(file)
                elif self._replica.name in found.available:
                    self.outcomes[file.fqid] = False
        return other + absent

    def _create(self, files: Sequence[NewFile]) -> bool:
        return self._dss.catalog.files.create_all([file.record for file in files], self._bindings)

    def settle(self, files: Sequence[NewFile]) -> None:
        """Write the manifests of files whose names are claimed, and let reads see them all."""
        self.each(files, self._write_manifest)
        self._dss.faults.reach("files: manifests written")
        written = self.going_on(files)
        fqids = [file.fqid for file in written]
        if not self._dss.catalog.files.make_all_available(fqids, self._replica.name, self._bindings):
            self.each(written, self._make_available)
        self._dss.faults.reach("files: available")
        self.outcomes.update({file.fqid: file.fqid in self._new for file in self.going_on(files)})

    def _write_manifest(self, file: NewFile) -> None:
        key = manifest_key(Kind.FILE, file.fqid)
        write_once(self._replica, key, encode(file_manifest(file.record)))
        self._dss.faults.reach("files: a manifest written")

    def _make_available(self, file: NewFile) -> None:
        self._dss.catalog.files.make_available(file.fqid, self._replica.name)

    def finish_alone(self, file: NewFile) -> bool | DssError:
        """Take all further steps of a single file."""
        binding = self._bindings.get(file.fqid.uuid)
        try:
            return make_visible(self._dss, file.record, self._replica.name, binding)
        except Unavailable as error:
            # It may be about this file alone: its content may be about to be removed under another name.
            return error
