"""What a client can do with manifests: have them made of what is in the catalogue, and download by them."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from dss.api.files import SignedUrl
from dss.api.session import Session
from dss.errors import CallFailed, InvalidInput
from dss.explore.filters import condition
from dss.manifests.making import Manifest
from dss.progress import Progress, progress_of
from dss.reports import ManifestReport
from dss.transfer.download import DownloadOptions
from dss.transfer.manifest_download import download_manifest
from dss.transfer.ranges import RANGE_BYTES
from dss.transfer.saving import save_link

_COPY_BYTES = 1024 * 1024
_STDIN = "-"


class ManifestMethods(Session):
    """Manifests: lists of files, made by the DSS or anybody else."""

    def manifest(
        self,
        filters: Mapping[str, Any] | None = None,
        *,
        format: str = "compact",  # noqa: A002 (as the DSS calls it)
        words: str | None = None,
        catalog: str | None = None,
    ) -> Manifest:
        """Return the manifest of the files that match all filters, which are those of `explore`::

            manifest = client.manifest({"bundleUuid": uuid, "organ": ["brain", None]}, format="compact")
            print(manifest.wait().link)
            path = manifest.save("brain.tsv")

        A `format` is compact, full, curl, terra.bdbag, terra.pfb, verbatim.jsonl, verbatim.pfb or parquet.
        The DSS is asked when it is needed, and makes the manifest then. The result raises NoCatalogue if the
        DSS has no such catalogue, CallFailed for an unknown format or field, and OperationFailed if the
        manifest can't be made.
        """
        conditions = {name: condition(value) for name, value in (filters or {}).items()}
        return Manifest(self, conditions, format=format, words=words, catalog=catalog)

    def download_manifest(
        self,
        manifest: str | Path | IO[bytes],
        *,
        to: str | Path | None = None,
        names: str | Sequence[str] = (),
        catalog: str | None = None,
        jobs: int = 8,
        range_bytes: int = RANGE_BYTES,
        progress: Progress | bool | None = None,
    ) -> ManifestReport:
        """Fetch the files that a manifest names into a directory, each verified::

            report = client.download_manifest("brain.tsv", to="by/manifest")
            print(report.files, report.failed, report.table)

        The manifest is a file, a URL, "-" for stdin, or a stream, in any form that names files: a table (TSV)
        with `file_uuid` and `file_name`, a configuration of curl, a BDBag or PFB for Terra, metadata
        documents, Parquet. A file goes to BUNDLE_UUID.VERSION/NAME, and `downloaded.tsv` says where each is.
        The directory has the name of the manifest, without its ending, unless given. Names, jobs, and what
        happens if the same call comes again, are those of `download`; `catalog` is where metadata documents
        are looked up. Raises InvalidInput, which names line and reason, for a manifest that is damaged.
        """
        with progress_of(progress, "download") as shown, self._opened(manifest, shown) as (stream, name):
            options = DownloadOptions(
                to=to,
                names=[names] if isinstance(names, str) else names,
                jobs=jobs,
                range_bytes=range_bytes,
                progress=shown,
            )
            return download_manifest(self, stream, options, name=name, catalog=catalog)

    @contextmanager
    def _opened(
        self, manifest: str | Path | IO[bytes], progress: Progress
    ) -> Iterator[tuple[IO[bytes], str]]:
        """Give a manifest as a stream that can seek, and a name for it."""
        if isinstance(manifest, str) and urlsplit(manifest).scheme in ("http", "https"):
            with tempfile.TemporaryFile() as copy:
                self._fetch_to(copy, manifest, progress)
                yield copy, unquote(urlsplit(manifest).path)
        elif isinstance(manifest, str | Path) and str(manifest) != _STDIN:
            with Path(manifest).open("rb") as file:
                yield file, str(manifest)
        else:
            stream = sys.stdin.buffer if isinstance(manifest, str | Path) else manifest
            with tempfile.TemporaryFile() as copy:
                while data := stream.read(_COPY_BYTES):
                    copy.write(data)
                copy.seek(0)
                yield copy, ""

    def _fetch_to(self, copy: IO[bytes], url: str, progress: Progress) -> None:
        # Nobody can renew a link that somebody else has got.
        try:
            save_link(self, SignedUrl(url, lambda: url), copy, progress)
        except CallFailed as error:
            if error.status not in (400, 401, 403, 404, 410):
                raise
            raise InvalidInput(
                f"the link to the manifest does not work, or not any more: {error}; "
                "`dss manifest --link` makes another one"
            ) from error
        copy.seek(0)
