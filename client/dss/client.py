"""The client of the DSS's REST API, for notebooks, programs and the `dss` command."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

from dss.api import bundles, checkouts, events, files
from dss.api.checkouts import Checkout
from dss.api.events import BundleEvent
from dss.api.files import FileHead, SignedUrl
from dss.errors import InvalidInput
from dss.listing import BundleFile, BundleFiles
from dss.methods.collections import CollectionMethods
from dss.methods.comparison import ComparisonMethods
from dss.methods.exchange import ExchangeMethods
from dss.methods.finding import FindingMethods
from dss.methods.imports import ImportMethods
from dss.methods.manifests import ManifestMethods
from dss.methods.subscriptions import SubscriptionMethods
from dss.methods.terra import TerraMethods
from dss.opening import find_file, is_text, open_binary, open_text, remote_of
from dss.progress import Progress, progress_of
from dss.references import Kind, Reference, resolve
from dss.reports import DownloadReport, UploadReport
from dss.transfer.download import DownloadOptions, download
from dss.transfer.ranges import RANGE_BYTES
from dss.transfer.upload import COPY_SECONDS, UploadOptions, upload
from dss.transfer.upload_preview import preview


class Client(
    CollectionMethods,
    ComparisonMethods,
    ExchangeMethods,
    FindingMethods,
    ImportMethods,
    ManifestMethods,
    SubscriptionMethods,
    TerraMethods,
):
    """A client of one DSS and one of its replicas::

        import dss

        client = dss.Client("https://dss.example.org", token, replica="gcp")
        report = client.upload("my/data")
        client.download(report.uuid, to="a/copy")

    `url` may end with `/v1` or not; reading needs no `token`. `patience` is for how many seconds to retry
    one call while the DSS answers 5xx or not at all; `notify` is called with a line before each retry.

    Where a method takes a `bundle`, `file` or `collection`, any text that names one will do: `UUID`,
    `UUID.VERSION`, `drs://HOST/UUID.VERSION`, or the URL of its page. Without a version, there or as
    `version`, it is the newest one.

    Every method raises InvalidInput for arguments that are not usable, CallFailed if the DSS answers with an
    error (its `status`, `code` and `title` are the DSS's; NotSignedIn, Forbidden, NotFound and Conflict are
    kinds of it), and Unreachable if it does not answer: see `dss.errors`. One client may be shared by
    threads.
    """

    def _named(self, kind: Kind, text: str, version: str | None) -> Reference:
        return resolve(text, version, url=self.url, kind=kind)

    # Directories

    def upload(
        self,
        directory: str | Path,
        *,
        bundle_uuid: str | None = None,
        version: str | None = None,
        update: bool = False,
        staging: str | None = None,
        creator_uid: int = 0,
        exclude: Sequence[str] = (),
        follow_links: bool = False,
        jobs: int = 8,
        state: str | Path | None = None,
        keep_staged: bool = False,
        checksum: bool = False,
        copy_seconds: float = COPY_SECONDS,
        dry_run: bool = False,
        progress: Progress | bool | None = None,
    ) -> UploadReport:
        """Make a directory a bundle version, through a staging bucket, and return what was done::

            report = client.upload("my/data", staging="gs://my-bucket/staging", exclude=["*.tmp"])
            print(f"{report.uuid}.{report.version}", report.files, report.bytes)

        The same call again does what is missing: after an interruption the rest, after a change a new bundle
        (with `update`, or the same `bundle_uuid`, a new version of the same one), else nothing. UUID and
        version are made up unless given. `exclude` holds globs of names, `follow_links` takes what symbolic
        links outside the directory lead to, `state` is the file that records what is done, `jobs` the number
        of threads. A file counts as unchanged if its size, mtime, ctime and inode are; with `checksum` all
        are read again. `copy_seconds` is how long to wait for files that the DSS copies in the background.
        With `dry_run` nothing is written, neither here nor there. A notebook shows bars, a program
        does not, unless `progress` is False or True. Raises Busy.
        """
        with progress_of(progress, "upload") as shown:
            options = UploadOptions(
                bundle_uuid=bundle_uuid,
                version=version,
                update=update,
                staging=staging,
                creator_uid=creator_uid,
                exclude=exclude,
                follow_links=follow_links,
                jobs=jobs,
                state=Path(state) if state else None,
                keep_staged=keep_staged,
                checksum=checksum,
                copy_seconds=copy_seconds,
                progress=shown,
            )
            return (preview if dry_run else upload)(self, Path(directory), options)

    def download(
        self,
        bundle: str,
        version: str | None = None,
        *,
        to: str | Path | None = None,
        names: str | Sequence[str] = (),
        jobs: int = 8,
        range_bytes: int = RANGE_BYTES,
        progress: Progress | bool | None = None,
    ) -> DownloadReport:
        """Fetch the files of a bundle version (default: the newest) into a directory, each verified::

            report = client.download(uuid, to="a/copy", names="*.json")
            assert not report.failed

        The directory is ./UUID.VERSION unless given. `names` is a glob of names to fetch, or a list of them;
        each must match a file. Files larger than `range_bytes` come in parallel ranges. The same call again
        fetches what is missing. The report's `failed` has the files that were not fetched, its `placed` the
        paths of files whose names the file system can't hold. A notebook shows bars, a program does not,
        unless `progress` is False or True. Raises Busy.
        """
        found = self._named("bundle", bundle, version)
        with progress_of(progress, "download") as shown:
            options = DownloadOptions(
                to=to,
                names=[names] if isinstance(names, str) else names,
                jobs=jobs,
                range_bytes=range_bytes,
                progress=shown,
            )
            return download(self, found.uuid, found.version, options)

    # Files of a bundle

    def files(self, bundle: str, version: str | None = None) -> BundleFiles:
        """Return the files of a bundle version (default: the newest)::

        files = client.files(uuid)
        print(files)
        for file in files:
            print(file.name, file.size, file.content_type, file.sha256, file.drs_uri)
        table = files.to_dataframe()
        """
        found = self._named("bundle", bundle, version)
        return BundleFiles.of(bundles.bundle(self, found.uuid, found.version), self.url)

    @overload
    def open(
        self,
        bundle: str | BundleFile,
        name: str | None = None,
        mode: Literal["rb"] = "rb",
        *,
        version: str | None = None,
        encoding: str = "utf-8",
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.BufferedReader: ...

    @overload
    def open(
        self,
        bundle: str | BundleFile,
        name: str | None = None,
        mode: Literal["r", "rt"] = "r",
        *,
        version: str | None = None,
        encoding: str = "utf-8",
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.TextIOWrapper: ...

    def open(
        self,
        bundle: str | BundleFile,
        name: str | None = None,
        mode: str = "rb",
        *,
        version: str | None = None,
        encoding: str = "utf-8",
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.BufferedReader | io.TextIOWrapper:
        """Open a file of a bundle for reading, without a copy on disk::

            with client.open(uuid, "links.json") as file:
                links = json.load(file)
            with client.open(uuid, "links.json", "r") as lines:
                print(lines.readline())
            with client.open(client.files(uuid)[0]) as file:
                head = file.read(100)

        The file is given by its exact name in the bundle, after the bundle as UUID.VERSION/NAME, or as
        `files` lists it, which saves the request for the list. With mode `rb` (the default) the file gives
        bytes, with `r` text. It fetches what is read, and more ahead the longer it is read in order; `seek`
        costs nothing. A signed URL that expires is replaced. A file that is read from its beginning to its
        end raises WrongContent at the end unless its sha256 is right.
        """
        text = is_text(mode)
        if isinstance(bundle, BundleFile):
            remote = remote_of(self, bundle)
        else:
            found = resolve(bundle, version, url=self.url, named=True)
            remote = find_file(self, found if name is None else replace(found, name=name))
        if text:
            return open_text(remote, encoding=encoding, errors=errors, newline=newline)
        return open_binary(remote)

    # Bundles

    def bundles(self, prefix: str | None = None, *, per_page: int = 500) -> Iterator[dict[str, str]]:
        """Yield `uuid` and `version` of every bundle version that is not hidden, in order::

            for row in client.bundles(prefix=uuid[:4]):
                print(row["uuid"], row["version"])

        `prefix` is what the UUIDs begin with. Asks for the next page when it is needed.
        """
        return bundles.bundles(self, prefix, per_page=per_page)

    def bundle(
        self, bundle: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> dict[str, Any]:
        """Return a bundle version (default: the newest) with all its files::

            for file in client.bundle(uuid, presigned=True)["files"]:
                print(file["name"], file["size"], file["url"])

        `presigned` adds a signed URL to each file, `direct` a gs:// or s3:// URL in the checkout bucket.
        """
        found = self._named("bundle", bundle, version)
        return bundles.bundle(self, found.uuid, found.version, presigned=presigned, direct=direct)

    def bundle_pages(
        self, bundle: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield a bundle version page by page, each as `uuid`, `version`, `creator_uid` and some `files`::

        for page in client.bundle_pages(uuid):
            print(len(page["files"]))
        """
        found = self._named("bundle", bundle, version)
        return bundles.bundle_pages(self, found.uuid, found.version, presigned=presigned, direct=direct)

    def has_bundle(self, bundle: str, version: str | None = None) -> bool:
        """Return whether a bundle version (default: any) can be read on the replica::

        assert client.has_bundle(uuid)
        """
        found = self._named("bundle", bundle, version)
        return bundles.has_bundle(self, found.uuid, found.version)

    def put_bundle(
        self, uuid: str, version: str, files: Sequence[Mapping[str, Any]], *, creator_uid: int = 0
    ) -> bool:
        """Make a bundle version of `files`, each with `uuid`, `version`, `name` and `indexed`::

            fields = ("uuid", "version", "name", "indexed")
            rows = [{field: getattr(file, field) for field in fields} for file in client.files(uuid)]
            client.put_bundle(str(uuid4()), "2026-01-12T093000.000000Z", rows[:2])

        Return True if it is new, False if the same version with the same files exists already.
        """
        return bundles.put_bundle(self, uuid, version, files, creator_uid=creator_uid)

    def patch_bundle(
        self,
        bundle: str,
        version: str | None = None,
        *,
        add: Sequence[Mapping[str, Any]] = (),
        remove: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Make a new bundle version from a given one, without the files of `remove`, with those of `add`::

            files = client.files(uuid)
            file = next(file for file in files if file.name == "links.json")
            row = {"uuid": file.uuid, "version": file.version, "name": file.name, "indexed": True}
            newest = client.patch_bundle(files.fqid, remove=[row])

        Return the new version. Each call makes another one. Raises InvalidInput if no version is given.
        """
        found = self._named("bundle", bundle, version)
        if found.version is None:
            raise InvalidInput(f"{found} names no version; give the one to change, as {found}.VERSION")
        return bundles.patch_bundle(self, found.uuid, found.version, add=add, remove=remove)

    def delete_bundle(self, bundle: str, version: str | None = None, *, reason: str) -> None:
        """Hide a bundle version, or the whole bundle if none is given, for ever. For admins only::

        admin.delete_bundle(unwanted, reason="uploaded by mistake")
        """
        found = self._named("bundle", bundle, version)
        bundles.delete_bundle(self, found.uuid, found.version, reason=reason)

    # Files

    def head_file(self, file: str, version: str | None = None) -> FileHead | None:
        """Return size, checksums and type of a file version (default: the newest), None if there is none::

            head = client.head_file(client.files(uuid)[0].uuid)
            print(head.size, head.content_type, head.checksums["sha256"])

        Raises CallFailed with status 422 for a file whose copy is wrong.
        """
        found = self._named("file", file, version)
        return files.head_file(self, found.uuid, found.version)

    def get_file(self, file: str, version: str | None = None) -> tuple[FileHead, SignedUrl]:
        """Return what the replica knows about a file version, and a URL that serves its bytes for a while::

        head, source = client.get_file(client.files(uuid)[0].uuid)
        content = requests.get(source.url).content
        """
        found = self._named("file", file, version)
        return files.get_file(self, found.uuid, found.version)

    def put_file(self, uuid: str, version: str, source_url: str, *, creator_uid: int = 0) -> bool:
        """Make the object at `source_url` (gs:// or s3://) a file version::

            name = str(uuid4())
            client.put_file(name, "2026-01-12T093000.000000Z", staged_url)
            head = client.wait_for_file(name, "2026-01-12T093000.000000Z", seconds=60)

        The object's metadata have its four checksums: docs/api.md says how. Safe to repeat. Return True if
        the file is there, False if the DSS still copies it: see `wait_for_file`.
        """
        return files.put_file(self, uuid, version, source_url, creator_uid=creator_uid)

    def wait_for_file(self, uuid: str, version: str, *, seconds: float) -> FileHead:
        """Return size, checksums and type of a file version as soon as the DSS has copied it: see `put_file`.

        Raises CallFailed if that takes more than so many seconds, or if the copy is wrong.
        """
        return files.wait_for_file(self, uuid, version, seconds=seconds)

    # Events

    def events(
        self,
        from_date: str | None = None,
        to_date: str | None = None,
        *,
        follow: bool = False,
        interval: float = events.FOLLOW_SECONDS,
    ) -> Iterator[BundleEvent]:
        """Yield what came to the replica from one version (a time) on, and before another, in order of time::

            for event in client.events("2026-01-12T093000.000000Z", follow=True):
                print(event.timestamp, event.event_type, event.bundle)
                break

        Each event is yielded once. With `follow`, go on for ever, and look for new events every `interval`
        seconds.
        """
        return events.events(self, from_date, to_date, follow=interval if follow else None)

    # Checkouts

    def checkout(
        self, bundle: str, version: str | None = None, *, bucket: str | None = None, email: str | None = None
    ) -> Checkout:
        """Copy a bundle's files to the DSS's checkout bucket, or to `bucket`, in the background::

            checkout = client.checkout(uuid)
            print(checkout.id, checkout.status)
            print(checkout.wait().location)

        A bucket of yours needs a token, the right of the DSS to write to it, and in it an object
        `.dss-checkout-allowed`: a text with your e-mail address, or a group of yours, on a line of its own.
        The DSS sends a mail to `email` when it ends. The same call again joins the checkout that runs.
        """
        found = self._named("bundle", bundle, version)
        return checkouts.checkout(self, found.uuid, found.version, bucket=bucket, email=email)

    def find_checkout(self, checkout_id: str) -> Checkout:
        """Return a checkout that began earlier, by its id. Makes no request::

        checkout = client.find_checkout(checkout.id)
        print(checkout.details["files_done"])
        """
        return Checkout(self, checkout_id)
