"""Bundles: `/bundles/{uuid}`, and the list of all bundles, `/bundles/all`."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from flask import Response

from run.api.call import Call
from run.api.direct_urls import check_token, checkout_first
from run.api.pagination import answer, page
from run.api.urls import attachment, sign_all, url_to_sign
from shared.access import Action, Resource
from shared.api_path import api_url
from shared.bindings import bound_resource, settled_binding, writable_bundle
from shared.bundles import (
    NamedFile,
    change_bundle,
    check_names,
    delete_bundle,
    find_files,
    require_newest_bundle,
    write_bundle,
)
from shared.catalog import (
    Binding,
    BundleHead,
    BundleTombstone,
    CheckoutOrder,
    CurrentBinding,
    PagedFile,
)
from shared.checkouts.objects import copies_of_bundle
from shared.errors import Forbidden, Gone, IllegalArguments, IllegalToken, NotFound, OnlyOneUrlType
from shared.identifiers import Fqid, Kind, version_of
from shared.purged_files import purged_files
from shared.system import Dss


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
    """Return a page of the files of a bundle version, or of the newest that is not hidden."""
    if directurls and presignedurls:
        raise OnlyOneUrlType("directurls, presignedurls: ask for one of them only")
    check_token(token)
    head = find_bundle(call, uuid, replica, version)
    if presignedurls or directurls:
        require_content(call, head, Action.SHARE if directurls else Action.READ)
    if directurls:
        require_all_files(head)
    start = start_at or 0
    files = call.dss.catalog.bundles.files(head, start, per_page)
    urls: Sequence[str | None] = [None] * len(files)
    if presignedurls:
        urls = _signed_urls(call, replica, head, files)
    if directurls:
        bucket = call.dss.replicas.named(replica).checkout_bucket
        copies = copies_of_bundle(call.dss.replicas.named(replica), bucket, head.fqid, files)
        order = CheckoutOrder(kind=Kind.BUNDLE, fqid=head.fqid, replica=replica, bucket=bucket)
        if wait := checkout_first(call, order, copies, token):
            return wait
        urls = [copy.url for copy in copies]
    bundle = {
        "uuid": head.fqid.uuid,
        "version": head.fqid.version,
        "creator_uid": head.creator_uid,
        "files": [_file_version(file, url) for file, url in zip(files, urls, strict=True)],
    }
    end = start + per_page
    # Pin the version: a newer one may be written between two pages.
    more = call.url(start_at=end, version=head.fqid.version) if end < head.file_count else None
    return page({"bundle": bundle}, content_key="bundle.files", next_url=more)


def _signed_urls(call: Call, replica: str, head: BundleHead, files: Sequence[PagedFile]) -> list[str | None]:
    """Return a signed URL for each file; None for those that were removed for good."""
    purged = purged_of(call.dss, files) if head.lacks_files else frozenset()
    target = call.dss.replicas.named(replica)
    urls = [
        None
        if Fqid(file.uuid, file.version) in purged
        else url_to_sign(
            call,
            replica,
            file.uuid,
            file.checksums,
            content_type=file.content_type,
            disposition=attachment(file.name),
        )
        for file in files
    ]
    return sign_all(urls, by_requests=target.store.signs_by_requests)


def put(
    call: Call,
    *,
    uuid: str,
    replica: str,
    version: str,
    owner_group: str | None,
    json_request_body: dict[str, Any],
) -> Response:
    """Create a bundle version of files that the replica has, or is about to have.

    With the first version, a group may claim the UUID.
    """
    call.check_new_version(version)
    # Before the binding and the heads of the files are read.
    change = call.dss.catalog.bindings.last_change()
    binding, claim = _owned(call, uuid, owner_group)
    named = _named_files(json_request_body, "files")
    check_names(file.name for file in named)
    found = find_files(call.dss, replica, named, call.may_read)
    creator_uid = json_request_body["creator_uid"]
    fqid = Fqid(uuid, version)
    manifest, created = write_bundle(
        call.dss,
        replica,
        fqid,
        creator_uid,
        found.files,
        binding=binding,
        unbound_at=change if found.unbound else None,
        claim=claim,
    )
    return answer({"version": version, "manifest": manifest}, 201 if created else 200)


def patch(
    call: Call, *, uuid: str, replica: str, version: str, json_request_body: dict[str, Any]
) -> Response:
    """Create a new version: the files of a version, without `remove_files`, with `add_files`.

    It is stamped now, or right after its base if that is ahead of the clock. With `If-Match`, it replaces
    the newest version, or nothing.
    """
    replaces = call.replaced(uuid)
    added = _named_files(json_request_body, "add_files")
    removed = {(file.name, file.fqid) for file in _named_files(json_request_body, "remove_files")}
    # Before the binding and the heads of the files are read.
    change = call.dss.catalog.bindings.last_change()
    binding = settled_binding(call.dss, uuid)
    # First, so that nobody learns by a refusal what is hidden.
    old = find_bundle(call, uuid, replica, version)
    call.require(Action.WRITE, bound_resource(Kind.BUNDLE, uuid, binding, version))
    if replaces:
        require_newest_bundle(call.dss, replaces)
    remaining = [
        file
        for file in call.dss.catalog.bundles.files(old, 0, old.file_count)
        if (file.name, Fqid(file.uuid, file.version)) not in removed
    ]
    check_names([*(file.name for file in remaining), *(file.name for file in added)])
    found = find_files(call.dss, replica, added, call.may_read)
    files = sorted([*remaining, *found.files], key=lambda file: file.name.encode())
    # Of the remaining files no head was read.
    unbound_at = change if found.unbound and not remaining else None
    new = change_bundle(
        call.dss, replica, old, files, binding=binding, unbound_at=unbound_at, replaces=replaces
    )
    call.is_about(new.uuid, new.version)
    return answer({"uuid": new.uuid, "version": new.version})


def delete(
    call: Call, *, uuid: str, replica: str, version: str | None, json_request_body: dict[str, Any]
) -> Response:
    """Hide a bundle version, or all versions of a UUID, for ever."""
    call.require(Action.DELETE, call.resource(Kind.BUNDLE, uuid, version))
    bundles = call.dss.catalog.bundles
    head = bundles.head(Fqid(uuid, version)) if version else bundles.any_version(uuid, replica)
    tombstone = BundleTombstone(
        uuid=uuid, version=version, email=call.signed_in.email, reason=json_request_body["reason"]
    )
    if head is None or replica not in head.available:
        raise NotFound(f"replica {replica} has no bundle {tombstone.name}")
    delete_bundle(call.dss, replica, tombstone)
    return answer({})


def list_all(
    call: Call,
    *,
    replica: str,
    prefix: str | None,
    token: str | None,
    per_page: int,
    search_after: str | None,
) -> Response:
    """List the bundles of a replica that are not hidden, in order of FQID."""
    after = _position(token, search_after)
    # One row more than a page shows that there is another page.
    rows = list(
        call.dss.catalog.bundles.enumerate(
            replica,
            readers=call.dss.policy.counts_as(call.reader),
            prefix=(prefix or "").lower(),
            after=after,
            count=per_page + 1,
        )
    )
    bundles, has_more = rows[:per_page], len(rows) > per_page
    body: dict[str, Any] = {
        "dss_api": api_url(call.base_url),
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
    """Return the head of a version, or of the newest, that is not hidden. Raise NotFound."""
    bundles = call.dss.catalog.bundles
    head = bundles.head(Fqid(uuid, version)) if version else bundles.newest(uuid, replica)
    name = f"{uuid}.{version}" if version else uuid
    if not call.sees(
        _resource(head)
        if head and not head.purged
        else call.resource(Kind.BUNDLE, uuid, version, absent=True)
    ):
        raise NotFound(f"replica {replica} has no bundle {name}")
    if head is None or replica not in head.available or head.hidden:
        state = _state(call, uuid, replica, version, head)
        raise NotFound(f"replica {replica} has no bundle {name}", replica_state=state)
    call.is_about(uuid, head.fqid.version)
    return head


def _owned(call: Call, uuid: str, owner_group: str | None) -> tuple[CurrentBinding | None, Binding | None]:
    """Return the binding of a UUID that the caller may write, and one by which their group claims it."""
    require = partial(call.require, Action.WRITE)
    return writable_bundle(call.dss, uuid, owner_group, lambda: call.signed_in.email, require)


def require_content(call: Call, head: BundleHead, action: Action) -> None:
    """Raise Unauthorized or Forbidden unless the caller may read the files of a bundle that it sees."""
    what = Resource(name=f"a file of bundle {head.fqid}", readers=head.content_readers)
    if not call.sees(what):
        raise Forbidden(f"{what.name} is managed")
    call.require(action, what)


def require_all_files(head: BundleHead) -> None:
    """Raise Gone if files of a bundle were removed for good: a copy of the others would not be the bundle."""
    if head.lacks_files:
        raise Gone(
            f"bundle {head.fqid}: files of it were removed for good, so it can't be checked out; "
            "presigned URLs of the others can be had"
        )


def purged_of(dss: Dss, files: Iterable[PagedFile]) -> frozenset[Fqid]:
    """Return those of the files that were removed for good; a read each, and one for each of those."""
    fqids = {Fqid(file.uuid, file.version) for file in files}
    return frozenset(purged_files(dss, fqids, dss.catalog.files.get_many(fqids)))


def _resource(head: BundleHead) -> Resource:
    return Resource(name=f"bundle {head.fqid.uuid}", readers=head.readers)


def _state(call: Call, uuid: str, replica: str, version: str | None, head: BundleHead | None) -> str:
    """Return `pending` if another replica shows a bundle that this one does not, else `absent`."""
    if version:
        elsewhere = bool(head and head.available and not head.hidden)
    else:
        others = (name for name in call.dss.replicas.names if name != replica)
        elsewhere = any(call.dss.catalog.bundles.newest(uuid, name) for name in others)
    return "pending" if elsewhere else "absent"


def _named_files(body: dict[str, Any], key: str) -> list[NamedFile]:
    return [NamedFile.of(item) for item in body.get(key) or []]


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
    """Return the FQID after which a list continues; empty for its beginning."""
    if search_after:
        return str(Fqid.parse(search_after.removeprefix("bundles/"), "search_after"))
    if not token:
        return ""
    try:
        return str(Fqid.parse(base64.b64decode(token, altchars=b"-_", validate=True).decode(), "token"))
    except (binascii.Error, UnicodeDecodeError, ValueError, IllegalArguments) as error:
        raise IllegalToken(f"token: {token[:80]!r} is not a token of this list") from error
