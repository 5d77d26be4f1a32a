"""The URLs by which the catalogue's service serves files."""

from collections.abc import Mapping
from urllib.parse import urlencode

from shared.explore.bundle_metadata import Json


def file_url(base_url: str, catalogue: str, file: Mapping[str, Json], **more: str) -> str:
    """Return the URL that redirects to the content of a file with `uuid` and `version`.

    `base_url` is the service's own address, `catalogue` the name of the file's catalogue.
    """
    query = urlencode({"catalog": catalogue, "version": file["version"], **more})
    return f"{base_url}/repository/files/{file['uuid']}?{query}"
