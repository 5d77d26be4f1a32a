"""The URLs by which the catalogue's service serves files."""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote_plus, urlencode

from shared.explore.bundle_metadata import Json


def file_url(base_url: str, catalogue: str, file: Mapping[str, Json], **more: str) -> str:
    """Return the URL that redirects to the content of a file with `uuid` and `version`.

    `base_url` is the service's own address, `catalogue` the name of the file's catalogue.
    """
    query = f"catalog={quote_plus(catalogue)}&version={_quoted(file['version'])}"
    added = f"&{urlencode(more)}" if more else ""
    return f"{base_url}/repository/files/{file['uuid']}?{query}{added}"


# Files of a bundle often have one version, and manifests millions of URLs.
_quoted = lru_cache(maxsize=256)(quote_plus)
