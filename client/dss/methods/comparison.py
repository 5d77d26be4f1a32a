"""What a client can compare: bundle versions and directories."""

from fnmatch import fnmatchcase
from pathlib import Path

from dss.api import bundles
from dss.api.session import Session
from dss.errors import InvalidInput
from dss.listing import BundleFiles
from dss.progress import Progress, progress_of
from dss.references import Reference, resolve
from dss.transfer.comparison import Comparison, compare, content_in, content_of
from dss.transfer.download_record import DownloadRecord
from dss.transfer.upload_state import RecordedUpload, default_path, identity_of


class ComparisonMethods(Session):
    """Comparisons by size and sha256."""

    def verify(
        self,
        directory: str | Path,
        bundle: str | None = None,
        version: str | None = None,
        *,
        jobs: int = 8,
        progress: Progress | bool | None = None,
    ) -> Comparison:
        """Compare a directory with a bundle version: the one that it was downloaded from, or became::

            comparison = client.verify("a/copy")
            assert not (comparison.removed or comparison.changed)

        `removed` has the names of files that the directory lacks, `changed` of those with other bytes,
        `added` of those that the bundle does not have. If only some names were downloaded, others are not
        missed. Raises InvalidInput if it is not known which bundle the directory holds.
        """
        path = Path(directory)
        globs: tuple[str, ...] = ()
        if bundle is not None:
            found = resolve(bundle, version, url=self.url)
        else:
            found, globs = self._bundle_in(path)
        files = self._files(found)
        with progress_of(progress, "verify") as shown:
            session = self.renewed()
            inside = content_in(path, files, jobs=jobs, clock=session.clock, progress=shown)
        wanted = {
            name: sha256
            for name, sha256 in content_of(files).items()
            if name in inside or not globs or any(fnmatchcase(name, glob) for glob in globs)
        }
        return compare(files.fqid, wanted, str(directory), inside)

    def diff(
        self, old: str, new: str | Path, *, jobs: int = 8, progress: Progress | bool | None = None
    ) -> Comparison:
        """Compare two bundle versions, or a bundle version and a directory, which is given as a Path::

        comparison = client.diff(f"{uuid}.2026-01-12T093000.000000Z", uuid)
        print(comparison.added, comparison.removed, comparison.changed)
        """
        before = self._files(resolve(old, url=self.url))
        if isinstance(new, str):
            after = self._files(resolve(new, url=self.url))
            return compare(before.fqid, content_of(before), after.fqid, content_of(after))
        with progress_of(progress, "diff") as shown:
            session = self.renewed()
            inside = content_in(new, before, jobs=jobs, clock=session.clock, progress=shown)
        return compare(before.fqid, content_of(before), str(new), inside)

    def _files(self, bundle: Reference) -> BundleFiles:
        return BundleFiles.of(bundles.bundle(self, bundle.uuid, bundle.version), self.url)

    def _bundle_in(self, directory: Path) -> tuple[Reference, tuple[str, ...]]:
        """Return the bundle that a directory was downloaded from, with the globs, or that it became."""
        if record := DownloadRecord.find(directory, self.url):
            return Reference(uuid=record.uuid, version=record.version), record.names
        identity = identity_of(directory.resolve(), self.url, self.replica)
        upload = RecordedUpload(default_path(directory, self.url, self.replica), identity).bundle
        if upload and upload.done:
            return Reference(uuid=upload.uuid, version=upload.version), ()
        raise InvalidInput(
            f"{directory}: no download or upload of it is recorded here; name its bundle with --bundle"
        )
