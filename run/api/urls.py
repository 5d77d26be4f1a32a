"""Signed URLs of the content of files."""

from collections.abc import Callable, Iterable
from functools import partial
from urllib.parse import quote

from werkzeug.http import dump_options_header

from run.api.call import Call
from shared.checksums import Checksums
from shared.errors import IllegalArguments
from shared.parallel import map_in_threads

# RFC 8187: the characters of a parameter that need no encoding, beside letters, digits and `_.-~`.
_UNQUOTED = "!#$&+^`|"
# A page of 500 URLs then takes some 2 s by IAM, and not 30.
SIGNED_AT_ONCE = 20

UrlToSign = Callable[[], str]


def signed_url(
    call: Call,
    replica: str,
    uuid: str,
    checksums: Checksums,
    *,
    content_type: str,
    disposition: str | None,
    user_project: str = "",
) -> str:
    """Return a URL that serves a blob of a replica to anyone for DSS_SIGNED_URL_SECONDS.

    The audit log will say who got a URL of the file `uuid`.
    The store sends `content_type`, which is the file's and not the blob's, as Content-Type, and `disposition`
    as Content-Disposition. `user_project` pays for the download, if requesters pay. Raise IllegalArguments if
    the disposition cannot be a header.
    """
    return url_to_sign(
        call,
        replica,
        uuid,
        checksums,
        content_type=content_type,
        disposition=disposition,
        user_project=user_project,
    )()


def url_to_sign(
    call: Call,
    replica: str,
    uuid: str,
    checksums: Checksums,
    *,
    content_type: str,
    disposition: str | None,
    user_project: str = "",
) -> UrlToSign:
    """Return what signs such a URL, in any thread; it counts as handed out now."""
    if disposition is not None and not (disposition.isascii() and disposition.isprintable()):
        raise IllegalArguments("content_disposition: must be printable ASCII, as every header is")
    target = call.dss.replicas.named(replica)
    return partial(
        target.store.sign_get,
        target.bucket,
        checksums.blob_key,
        lifetime=call.hands_out(uuid),
        disposition=disposition,
        content_type=content_type,
        user_project=user_project,
    )


def sign_all(urls: Iterable[UrlToSign | None], *, by_requests: bool) -> list[str | None]:
    """Return the signed URLs, in order, and None for None.

    Without a signing key they are signed `by_requests` to IAM, of some 60 ms each, so many are at once. With
    one, threads would take longer than the signatures.
    """
    if not by_requests:
        return [sign and sign() for sign in urls]
    return list(map_in_threads(lambda sign: sign and sign(), urls, threads=SIGNED_AT_ONCE))


def attachment(name: str) -> str:
    """Return the Content-Disposition that makes browsers save a file under the last step of its name."""
    # `path.json2/` is a name; its last step is empty.
    last = name.rstrip("/").rpartition("/")[2]
    if last.isascii():
        return dump_options_header("attachment", {"filename": last})
    # RFC 8187: other characters are percent-encoded in this parameter.
    return f"attachment; filename*=UTF-8''{quote(last, safe=_UNQUOTED)}"
