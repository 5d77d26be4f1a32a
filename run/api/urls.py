"""URLs by which the content of files is fetched."""

from datetime import timedelta
from urllib.parse import quote

from werkzeug.http import dump_options_header

from shared.checksums import Checksums
from shared.errors import IllegalArguments
from shared.system import Dss

# RFC 8187: what a parameter may hold as it is, beside letters, digits and `_.-~`.
_UNQUOTED = "!#$&+^`|"


def signed_url(dss: Dss, replica: str, checksums: Checksums, *, disposition: str | None) -> str:
    """Return a URL by which anyone fetches a blob from a replica's bucket for DSS_SIGNED_URL_SECONDS.

    The store answers with `disposition` as Content-Disposition. Raises IllegalArguments where no header
    could carry it.
    """
    if disposition is not None and not (disposition.isascii() and disposition.isprintable()):
        raise IllegalArguments("content_disposition: must be printable ASCII, as every header")
    where = dss.replicas.named(replica)
    lifetime = timedelta(seconds=dss.settings.signed_url_seconds)
    return where.store.sign_get(where.bucket, checksums.blob_key, lifetime=lifetime, disposition=disposition)


def attachment(name: str) -> str:
    """Return the Content-Disposition by which browsers save a file under the last step of its name."""
    last = name.rpartition("/")[2]
    if last.isascii():
        return dump_options_header("attachment", {"filename": last})
    # RFC 8187: other letters go percent-encoded into a parameter of this name.
    return f"attachment; filename*=UTF-8''{quote(last, safe=_UNQUOTED)}"
