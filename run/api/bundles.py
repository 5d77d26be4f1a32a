"""Bundles: `/bundles/{uuid}` and the list of all, `/bundles/all`."""

import base64
import binascii
import builtins
from typing import Any

from flask import Response

from run.api.call import Call
from run.api.direct_urls import check_token, checkout_first
from run.api.pagination import answer, page
from run.api.urls import attachment, signed_url
from shared.bundles import NamedFile, check_names, delete_bundle, find_files, write_bundle
from shared.catalog import BundleHead, BundleTombstone, CheckoutOrder, PagedFile
from shared.checkouts.objects import CheckoutCopy, copies_of_bundle
from shared.clock import new_version
from shared.errors import IllegalArguments, IllegalToken, NotFound, OnlyOneUrlType
from shared.identifiers import Fqid, Kind, version_of

API_PATH = "/v1"


def get(
    call: Call,
    *,
    uuid: str,
    replica: str,
    version: str | None,
    directurls: bool | None,
    presignedurls: bool | None,
    token: str | None,
    per_page: int,
    start_at: int | None,
) -> Response:
    """Answer a bundle version, or the newest that is not hidden, with a page of its files."""
    if directurls and presignedurls:
        raise OnlyOneUrlType("directurls, presignedurls: only one of them can be asked for")
    check_token(token)
    head = find_bundle(call, uuid, replica, version)
    start = start_at or 0
    files = call.dss.catalog.bundles.files(head, start, per_page)
    where = call.dss.replicas.named(replica)
    copies = copies_of_bundle(where, where.checkout_bucket, head.fqid, files)
    if directurls:
        order = CheckoutOrder(kind=Kind.BUNDLE, fqid=head.fqid, replica=replica, bucket=where.checkout_bucket)
        if wait := checkout_first(call, order, copies, token):
            return wait

    def url_of(file: PagedFile, copy: CheckoutCopy) -> str | None:
        if presignedurls:
            return signed_url(call.dss, replica, copy.checksums, disposition=attachment(file.name))
        return copy.url if directurls else None

    bundle = {
        "uuid": head.fqid.uuid,
        "version": head.fqid.version,
        "creator_uid": head.creator_uid,
        "files": [_file_version(file, url_of(file, copy)) for file, copy in zip(files, copies, strict=True)],
    }
    end = start + per_page
    # The version is pinned: a newer one may be written between two pages.
    more = call.url(start_at=end, version=head.fqid.version) if end < head.file_count else None
    return page({"bundle": bundle}, content_key="bundle.files", next_url=more)


def put(call: Call, *, uuid: str, replica: str, version: str, json_request_body: dict[str, Any]) -> Response:
    """Make a bundle version of files that are on the replica, or on their way to it."""
    wanted = _named_files(json_request_body, "files")
    check_names(file.name for file in wanted)
    files = find_files(call.dss, replica, wanted)
    creator_uid = json_request_body["creator_uid"]
    manifest, created = write_bundle(call.dss, replica, Fqid(uuid, version), creator_uid, files)
    return answer({"version": version, "manifest": manifest}, 201 if created else 200)


def patch(
    call: Call, *, uuid: str, replica: str, version: str, json_request_body: dict[str, Any]
) -> Response:
    """Make a new version, stamped now, of a version's files less those removed and plus those added."""
    added = _named_files(json_request_body, "add_files")
    removed = {(file.name, file.fqid) for file in _named_files(json_request_body, "remove_files")}
    old = find_bundle(call, uuid, replica, version)
    kept = [
        file
        for file in call.dss.catalog.bundles.files(old, 0, old.file_count)
        if (file.name, Fqid(file.uuid, file.version)) not in removed
    ]
    check_names([*(file.name for file in kept), *(file.name for file in added)])
    files = [*kept, *find_files(call.dss, replica, added)]
    files.sort(key=lambda file: file.name.encode())
    new = Fqid(uuid, new_version(call.dss.clock))
    write_bundle(call.dss, replica, new, old.creator_uid, files)
    return answer({"uuid": new.uuid, "version": new.version})


def delete(
    call: Call, *, uuid: str, replica: str, version: str | None, json_request_body: dict[str, Any]
) -> Response:
    """Hide a bundle version, or a UUID with all its versions, for ever."""
    call.signed_in.require_admin()
    bundles = call.dss.catalog.bundles
    head = bundles.head(Fqid(uuid, version)) if version else bundles.any_version(uuid, replica)
    tombstone = BundleTombstone(
        uuid=uuid, version=version, email=call.signed_in.email, reason=json_request_body["reason"]
    )
    if head is None or replica not in head.available:
        raise NotFound(f"replica {replica} has no bundle {tombstone.name}")
    delete_bundle(call.dss, replica, tombstone)
    return answer({})


def enumerate(
    call: Call,
    *,
    replica: str,
    prefix: str | None,
    token: str | None,
    per_page: int,
    search_after: str | None,
) -> Response:
    """List what is not hidden on a replica, in order of FQID."""
    after = _position(token, search_after)
    # One row more than the page has tells whether there is another page.
    found = list(
        call.dss.catalog.bundles.enumerate(
            replica, prefix=(prefix or "").lower(), after=after, count=per_page + 1
        )
    )
    bundles, has_more = found[:per_page], len(found) > per_page
    body: dict[str, Any] = {
        "dss_api": call.base_url + API_PATH,
        "object": "list",
        "per_page": per_page,
        "page_count": len(bundles),
        "search_prefix": f"bundles/{prefix or ''}",
        "event_timestamp": version_of(call.dss.clock.now()),
        "bundles": [{"uuid": fqid.uuid, "version": fqid.version} for fqid in bundles],
        "has_more": has_more,
    }
    more = None
    if has_more:
        last = str(bundles[-1])
        cursor = {"search_after": last, "token": base64.urlsafe_b64encode(last.encode()).decode()}
        more = call.url(**cursor)
        body |= {**cursor, "link": more}
    return page(body, content_key="bundles", next_url=more)


def find_bundle(call: Call, uuid: str, replica: str, version: str | None) -> BundleHead:
    """Return the head of a version, or of the newest, that is not hidden. Raises NotFound."""
    bundles = call.dss.catalog.bundles
    head = bundles.head(Fqid(uuid, version)) if version else bundles.newest(uuid, replica)
    if head is None or replica not in head.available or head.hidden:
        name = f"{uuid}.{version}" if version else uuid
        state = _state(call, uuid, replica, version, head)
        raise NotFound(f"replica {replica} has no bundle {name}", replica_state=state)
    return head


def _state(call: Call, uuid: str, replica: str, version: str | None, head: BundleHead | None) -> str:
    """Return whether a bundle that a replica does not have, or does not show, is on another one."""
    if version:
        elsewhere = bool(head and head.available and not head.hidden)
    else:
        others = (name for name in call.dss.replicas.names if name != replica)
        elsewhere = any(call.dss.catalog.bundles.newest(uuid, name) for name in others)
    return "pending" if elsewhere else "absent"


def _named_files(body: dict[str, Any], key: str) -> list[NamedFile]:
    items = body.get(key) or []
    # In this module the plain name is an operation of the contract.
    return [NamedFile.parse(item, f"{key}[{index}]") for index, item in builtins.enumerate(items)]


def _file_version(file: PagedFile, url: str | None) -> dict[str, Any]:
    return {
        "name": file.name,
        "uuid": file.uuid,
        "version": file.version,
        "content-type": file.content_type,
        "size": file.size,
        "indexed": file.indexed,
        "crc32c": file.crc32c,
        "s3_etag": file.s3_etag,
        "sha1": file.sha1,
        "sha256": file.sha256,
        **({"url": url} if url else {}),
    }


def _position(token: str | None, search_after: str | None) -> str:
    """Return the FQID behind which a list goes on, or nothing where it begins."""
    if search_after:
        return str(Fqid.parse(search_after.removeprefix("bundles/"), "search_after"))
    if not token:
        return ""
    try:
        return str(Fqid.parse(base64.b64decode(token, altchars=b"-_", validate=True).decode(), "token"))
    except (binascii.Error, UnicodeDecodeError, ValueError, IllegalArguments) as error:
        raise IllegalToken(f"token: {token[:80]!r} was not given out by this list") from error
