"""What a client asks of bundles; a part of `dss.client.Client`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from dss.api.calls import Calls
from dss.api.transport import json_of
from dss.errors import CallFailed, Refused


class BundleCalls(Calls):
    """Bundle versions: lists of files, each under a name."""

    def bundle_pages(
        self, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield a bundle version page by page, each as `uuid`, `version`, `creator_uid` and some `files`.

        All pages are of one version, the newest one unless given, even if a newer one comes meanwhile.
        """
        call = self._call(
            "GET",
            f"bundles/{quote(uuid)}",
            version=version,
            per_page=500,
            presignedurls="true" if presigned else None,
            directurls="true" if direct else None,
        )
        first: dict[str, Any] | None = None
        # A checkout of a large bundle (direct URLs) takes its time.
        for page in self._pages(call, wait_seconds=3600.0 if direct else self.transport.patience):
            bundle: dict[str, Any] = page["bundle"]
            first = first or bundle
            if bundle["version"] != first["version"]:
                raise Refused(f"bundle {uuid} got a newer version while it was being read; start again")
            yield bundle

    def bundle(
        self, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> dict[str, Any]:
        """Return a bundle version with all its files; their `url` is signed, or in the checkout bucket."""
        pages = self.bundle_pages(uuid, version, presigned=presigned, direct=direct)
        whole = dict(next(pages))
        whole["files"] = [*whole["files"], *(file for page in pages for file in page["files"])]
        return whole

    def has_bundle(self, uuid: str, version: str) -> bool:
        """Tell whether a bundle version can be read on the replica."""
        answer = self.transport.send(
            self._call("GET", f"bundles/{quote(uuid)}", version=version, per_page=10)
        )
        if answer.status_code not in (200, 206, 404):
            raise CallFailed.of(answer)
        return answer.status_code != 404

    def bundles(self, prefix: str | None = None, *, per_page: int = 500) -> Iterator[dict[str, str]]:
        """Yield `uuid` and `version` of every bundle version that is not hidden, in order."""
        for page in self._pages(self._call("GET", "bundles/all", prefix=prefix or None, per_page=per_page)):
            yield from page["bundles"]

    def put_bundle(
        self, uuid: str, version: str, files: Sequence[Mapping[str, Any]], *, creator_uid: int = 0
    ) -> bool:
        """Make a bundle version of `files` (each `uuid`, `version`, `name`, `indexed`).

        Return True where it is new, False where it was there, the same.
        """
        body = {"files": list(files), "creator_uid": creator_uid}
        answer = self.transport.send(self._call("PUT", f"bundles/{quote(uuid)}", body, version=version))
        if answer.status_code not in (200, 201):
            raise CallFailed.of(answer)
        return answer.status_code == 201

    def patch_bundle(
        self,
        uuid: str,
        version: str,
        *,
        add: Sequence[Mapping[str, Any]] = (),
        remove: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Make a new bundle version of an old one, less the files of `remove`, plus those of `add`.

        Return the new version. Repeated, this makes another one.
        """
        body = {"add_files": list(add), "remove_files": list(remove)}
        answer = self.transport.send(self._call("PATCH", f"bundles/{quote(uuid)}", body, version=version))
        if answer.status_code != 200:
            raise CallFailed.of(answer)
        made: str = json_of(answer)["version"]
        return made

    def delete_bundle(self, uuid: str, version: str | None = None, *, reason: str) -> None:
        """Hide a bundle version, or without one the whole bundle, for ever. For admins only."""
        call = self._call("DELETE", f"bundles/{quote(uuid)}", {"reason": reason}, version=version)
        answer = self.transport.send(call)
        if answer.status_code != 200:
            raise CallFailed.of(answer)
