"""A client of the DSS's REST interface, for the `dss` command and for notebooks::

    from dss.client import Client

    dss = Client("https://dss.example.org", token=token, replica="gcp")
    for bundle in dss.bundles(prefix="a2"):
        manifest = dss.bundle(bundle["uuid"], bundle["version"])
    report = dss.download(uuid, to="some/directory")

Every method raises CallFailed for an answer other than promised (its `status`, `code` and `title` are the
DSS's) and Unreachable where there is none; passing trouble is waited out first, for `patience` seconds.
"""

from pathlib import Path
from typing import Any

from dss.api.client import ApiClient
from dss.reports import DownloadReport, UploadReport
from dss.transfer.download import DownloadOptions, download
from dss.transfer.upload import UploadOptions, upload


class Client(ApiClient):
    """A client of the DSS: single calls, and whole directories."""

    def upload(self, directory: str | Path, **options: Any) -> UploadReport:
        """Make a directory a bundle; options and promises are those of `dss.transfer.upload.upload`."""
        return upload(self, Path(directory), UploadOptions(**options))

    def download(self, uuid: str, version: str | None = None, **options: Any) -> DownloadReport:
        """Fetch a bundle's files; options and promises are those of `dss.transfer.download.download`."""
        return download(self, uuid, version, DownloadOptions(**options))
