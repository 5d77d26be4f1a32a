"""Calls about bundles: versioned lists of files, each under a name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dss.api.session import Session
from dss.api.transport import Call, failure_of
from dss.errors import ContentChanged, NotADss

# A checkout of a large bundle, which direct URLs need, takes its time.
_CHECKOUT_SECONDS = 3600.0


def bundle_pages(
    session: Session, uuid: str, version: str | None, *, presigned: bool, direct: bool, start: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield a bundle version in pages, all of one version, from its file number `start` on.

    Raises ContentChanged if they are of several versions.
    """
    call = _page(session, uuid, version, start=start, count=500, presigned=presigned, direct=direct)
    first: dict[str, Any] | None = None
    for page in session.pages(
        call, _CHECKOUT_SECONDS if direct else session.transport.patience, has="bundle"
    ):
        bundle: dict[str, Any] = page["bundle"]
        first = first or bundle
        if bundle["version"] != first["version"]:
            raise ContentChanged(f"bundle {uuid} got a newer version while it was being read; start again")
        yield bundle


def _page(
    session: Session,
    uuid: str,
    version: str | None,
    *,
    start: int,
    count: int,
    presigned: bool,
    direct: bool = False,
) -> Call:
    return session.call(
        "GET",
        f"bundles/{quote(uuid)}",
        version=version,
        per_page=count,
        start_at=start or None,
        presignedurls="true" if presigned else None,
        directurls="true" if direct else None,
    )


def signed_page(
    session: Session, uuid: str, version: str | None, *, start: int, count: int
) -> tuple[dict[str, Any], bool]:
    """Return a bundle version with about `count` of its files, from number `start` on, and signed URLs.

    Return also whether there are further files.
    """
    call = _page(session, uuid, version, start=start, count=count, presigned=True)
    status, page = session.answer(call, 200, 206, has="bundle")
    return page["bundle"], status == 206


def bundle(
    session: Session, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
) -> dict[str, Any]:
    """Return a bundle version with all its files."""
    pages = bundle_pages(session, uuid, version, presigned=presigned, direct=direct)
    whole = dict(next(pages))
    whole["files"] = [*whole["files"], *(file for page in pages for file in page["files"])]
    return whole


def has_bundle(session: Session, uuid: str, version: str | None) -> bool:
    """Return whether a bundle version can be read on the replica."""
    answer = session.transport.send(
        session.call("GET", f"bundles/{quote(uuid)}", version=version, per_page=10)
    )
    if answer.status_code in (200, 206):
        return True
    failure = failure_of(answer)
    if failure.status != 404 or isinstance(failure, NotADss):
        raise failure
    return False


def bundles(session: Session, prefix: str | None, *, per_page: int) -> Iterator[dict[str, str]]:
    """Yield `uuid` and `version` of every bundle version that is not hidden, in order."""
    for page in session.pages(
        session.call("GET", "bundles/all", prefix=prefix or None, per_page=per_page), has="bundles"
    ):
        yield from page["bundles"]


def put_bundle(
    session: Session, uuid: str, version: str, files: Sequence[Mapping[str, Any]], *, creator_uid: int
) -> bool:
    """Make a bundle version; return True if it is new, False if the same one exists already."""
    body = {"files": list(files), "creator_uid": creator_uid}
    call = session.call("PUT", f"bundles/{quote(uuid)}", body, version=version)
    return session.answer(call, 200, 201)[0] == 201


def patch_bundle(
    session: Session,
    uuid: str,
    version: str,
    *,
    add: Sequence[Mapping[str, Any]],
    remove: Sequence[Mapping[str, Any]],
) -> str:
    """Make a new bundle version from an old one, and return it."""
    body = {"add_files": list(add), "remove_files": list(remove)}
    call = session.call("PATCH", f"bundles/{quote(uuid)}", body, version=version)
    return str(session.answer_json(call, has="version")["version"])


def delete_bundle(session: Session, uuid: str, version: str | None, *, reason: str) -> None:
    """Hide a bundle version, or the whole bundle, for ever."""
    session.answer_json(session.call("DELETE", f"bundles/{quote(uuid)}", {"reason": reason}, version=version))
