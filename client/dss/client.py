"""The client of the DSS's REST API, for notebooks, programs and the `dss` command."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dss.api import bundles, checkouts, collections, events, files, search, subscriptions
from dss.api.collections import Item
from dss.api.events import BundleEvent
from dss.api.files import FileHead, SignedUrl
from dss.api.session import Session
from dss.progress import Progress
from dss.reports import DownloadReport, UploadReport
from dss.transfer.download import DownloadOptions, download
from dss.transfer.ranges import RANGE_BYTES
from dss.transfer.upload import COPY_SECONDS, UploadOptions, upload
from dss.transfer.upload_preview import preview


class Client(Session):
    """A client of one DSS and one of its replicas::

        import dss

        client = dss.Client("https://dss.example.org", token, replica="gcp")
        report = client.upload("my/data")
        client.download(report.uuid, to="a/copy")

    `url` may end with `/v1` or not; reading needs no `token`. `patience` is for how many seconds to retry
    one call while the DSS answers 5xx or not at all; `notify` is called with a line before each retry.

    Every method raises CallFailed if the DSS answers with an error (its `status`, `code` and `title` are
    the DSS's), and Unreachable if it does not answer. One client may be shared by threads.
    """

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
        progress: Progress | None = None,
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
        With `dry_run` nothing is written, here or there. Raises InvalidInput, Busy.
        """
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
            progress=progress or Progress(quiet=True),
        )
        return (preview if dry_run else upload)(self, Path(directory), options)

    def download(
        self,
        uuid: str,
        version: str | None = None,
        *,
        to: str | Path | None = None,
        names: str | Sequence[str] = (),
        jobs: int = 8,
        range_bytes: int = RANGE_BYTES,
        progress: Progress | None = None,
    ) -> DownloadReport:
        """Fetch the files of a bundle version (default: the newest) into a directory, each verified::

            report = client.download(uuid, to="a/copy", names="*.json")
            assert not report.failed

        The directory is ./UUID.VERSION unless given. `names` are globs of names to fetch; each must match a
        file. Files larger than `range_bytes` come in parallel ranges. The same call again fetches what is
        missing. The report's `failed` has the files that were not fetched, its `placed` the paths of files
        whose names the file system can't hold. Raises InvalidInput, Busy.
        """
        options = DownloadOptions(
            to=to,
            names=[names] if isinstance(names, str) else names,
            jobs=jobs,
            range_bytes=range_bytes,
            progress=progress or Progress(quiet=True),
        )
        return download(self, uuid, version, options)

    # Bundles

    def bundles(self, prefix: str | None = None, *, per_page: int = 500) -> Iterator[dict[str, str]]:
        """Yield `uuid` and `version` of every bundle version that is not hidden, in order."""
        return bundles.bundles(self, prefix, per_page=per_page)

    def bundle(
        self, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> dict[str, Any]:
        """Return a bundle version (default: the newest) with all its files::

            for file in client.bundle(uuid, presigned=True)["files"]:
                print(file["name"], file["size"], file["url"])

        `presigned` adds a signed URL to each file, `direct` a gs:// or s3:// URL in the checkout bucket.
        """
        return bundles.bundle(self, uuid, version, presigned=presigned, direct=direct)

    def bundle_pages(
        self, uuid: str, version: str | None = None, *, presigned: bool = False, direct: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield a bundle version page by page, each as `uuid`, `version`, `creator_uid` and some `files`."""
        return bundles.bundle_pages(self, uuid, version, presigned=presigned, direct=direct)

    def has_bundle(self, uuid: str, version: str) -> bool:
        """Return whether a bundle version can be read on the replica."""
        return bundles.has_bundle(self, uuid, version)

    def put_bundle(
        self, uuid: str, version: str, files: Sequence[Mapping[str, Any]], *, creator_uid: int = 0
    ) -> bool:
        """Make a bundle version of `files` (each `uuid`, `version`, `name`, `indexed`).

        Return True if it is new, False if the same version with the same files exists already.
        """
        return bundles.put_bundle(self, uuid, version, files, creator_uid=creator_uid)

    def patch_bundle(
        self,
        uuid: str,
        version: str,
        *,
        add: Sequence[Mapping[str, Any]] = (),
        remove: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Make a new bundle version from an old one, without the files of `remove`, with those of `add`.

        Return the new version. Each call makes another one.
        """
        return bundles.patch_bundle(self, uuid, version, add=add, remove=remove)

    def delete_bundle(self, uuid: str, version: str | None = None, *, reason: str) -> None:
        """Hide a bundle version, or the whole bundle if none is given, for ever. For admins only."""
        bundles.delete_bundle(self, uuid, version, reason=reason)

    # Files

    def head_file(self, uuid: str, version: str | None = None) -> FileHead | None:
        """Return size, checksums and type of a file version (default: the newest), None if there is none.

        Raises CallFailed with status 422 for a file whose copy is wrong.
        """
        return files.head_file(self, uuid, version)

    def get_file(self, uuid: str, version: str | None = None) -> tuple[FileHead, SignedUrl]:
        """Return what the replica knows about a file version, and a URL that serves its bytes::

        head, source = client.get_file(uuid)
        content = requests.get(source.url).content
        """
        return files.get_file(self, uuid, version)

    def put_file(self, uuid: str, version: str, source_url: str, *, creator_uid: int = 0) -> bool:
        """Make the object at `source_url` (gs:// or s3://) a file version. Safe to repeat.

        Return True if the file is there, False if the DSS still copies it: see `wait_for_file`.
        """
        return files.put_file(self, uuid, version, source_url, creator_uid=creator_uid)

    def wait_for_file(self, uuid: str, version: str, *, seconds: float) -> FileHead:
        """Return size, checksums and type of a file version as soon as the DSS has copied it.

        Raises CallFailed if that takes more than so many seconds, or if the copy is wrong.
        """
        return files.wait_for_file(self, uuid, version, seconds=seconds)

    # Search and events

    def search(self, query: Mapping[str, Any], *, raw: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the bundle versions that an Elasticsearch query finds, last UUID first::

            for hit in client.search({"query": {"match": {"files.project_json.name": "cortex"}}}):
                print(hit["bundle_fqid"], hit["bundle_url"])

        With `raw` each result has its `metadata` document. A query that is not supported raises CallFailed,
        whose title names the clause.
        """
        return search.search(self, query, raw=raw)

    def events(
        self, from_date: str | None = None, to_date: str | None = None, *, follow: float | None = None
    ) -> Iterator[BundleEvent]:
        """Yield what came to the replica from one version (a time) on, and before another, in order of time.

        Each event is yielded once. With `follow`, go on for ever, and look for new events after so many
        seconds.
        """
        return events.events(self, from_date, to_date, follow=follow)

    # Checkouts

    def checkout(
        self, uuid: str, version: str | None = None, *, bucket: str | None = None, email: str | None = None
    ) -> str:
        """Copy a bundle's files to the DSS's checkout bucket, or to `bucket`; return the job's id::

            job_id = client.checkout(uuid)
            print(client.wait_for_checkout(job_id)["location"])

        A bucket of yours needs a token, the right of the DSS to write to it, and in it an object
        `.dss-checkout-allowed`: a text with your e-mail address, or a group of yours, on a line of its own.
        The DSS sends a mail to `email` when the job ends. The same call again joins the job that runs.
        """
        return checkouts.checkout(self, uuid, version, bucket=bucket, email=email)

    def checkout_status(self, job_id: str) -> dict[str, Any]:
        """Return a checkout's `status`, counts and bytes, and its `location` or `cause`."""
        return checkouts.checkout_status(self, job_id)

    def wait_for_checkout(self, job_id: str, *, seconds: float = 3600.0) -> dict[str, Any]:
        """Return the status of a checkout once it has succeeded.

        Raises OperationFailed if it has failed, or is not done after so many seconds.
        """
        return checkouts.wait_for_checkout(self, job_id, seconds=seconds)

    # Collections

    def collections(self) -> Iterator[dict[str, str]]:
        """Yield `uuid` and newest `version` of each of your collections, in order of UUID."""
        return collections.collections(self)

    def collection(self, uuid: str, version: str | None = None) -> dict[str, Any]:
        """Return a version of a collection (default: the newest) with all of its `contents`."""
        return collections.collection(self, uuid, version)

    def put_collection(
        self,
        uuid: str,
        version: str,
        contents: Sequence[Item],
        *,
        name: str = "",
        description: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a version of a collection of links (each `type`, `uuid`, `version`, perhaps `path`).

        Return the newest version: items beyond 1,000 are added in further versions.
        """
        about = {"name": name, "description": description, "details": dict(details or {})}
        return collections.put_collection(self, uuid, version, contents, about)

    def patch_collection(
        self,
        uuid: str,
        version: str,
        *,
        add: Sequence[Item] = (),
        remove: Sequence[Item] = (),
        name: str | None = None,
        description: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a new version from an old one, without the items of `remove`, with those of `add`.

        Return the newest version: each 1,000 items make one. Each call makes others.
        """
        about = {"name": name, "description": description, "details": details}
        changes = {key: value for key, value in about.items() if value is not None}
        return collections.patch_collection(self, uuid, version, add, remove, changes)

    def delete_collection(self, uuid: str) -> None:
        """Hide a collection, with all of its versions, for ever."""
        collections.delete_collection(self, uuid)

    # Subscriptions

    def subscribe(
        self,
        callback_url: str,
        *,
        jmespath_query: str | None = None,
        es_query: Mapping[str, Any] | None = None,
        attachments: Mapping[str, Any] | None = None,
        method: str | None = None,
        encoding: str | None = None,
        form_fields: Mapping[str, str] | None = None,
        payload_form_field: str | None = None,
        hmac_secret_key: str | None = None,
        hmac_key_id: str | None = None,
    ) -> str:
        """Have a URL called with every event that matches a query; return the subscription's UUID::

            uuid = client.subscribe("https://example.org/hook", jmespath_query="event_type == 'CREATE'")

        Without a query every event matches. Each call makes another subscription.
        """
        definition = {name: value for name, value in locals().items() if name != "self"}
        given = {name: value for name, value in definition.items() if value is not None}
        return subscriptions.subscribe(self, given)

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return all your subscriptions on the replica: JMESPath first, the oldest first."""
        return subscriptions.subscriptions(self)

    def subscription(self, uuid: str, kind: str = "jmespath") -> dict[str, Any]:
        """Return a subscription, without its secret; `kind` is `jmespath` or `elasticsearch`."""
        return subscriptions.subscription(self, uuid, kind)

    def unsubscribe(self, uuid: str, kind: str = "jmespath") -> None:
        """End a subscription; `kind` is `jmespath` or `elasticsearch`."""
        subscriptions.unsubscribe(self, uuid, kind)

    def deliveries(self, uuid: str) -> Iterator[Mapping[str, Any]]:
        """Yield a subscription's notifications of the last 14 days and their state, the newest first."""
        return subscriptions.deliveries(self, uuid)

    def send_sample(self, uuid: str) -> str:
        """Send a sample notification to a subscription, and return the id of its delivery."""
        return subscriptions.send_sample(self, uuid)

    def replay(self, uuid: str, from_date: str) -> str:
        """Send all matching events since a version (a time) again, and return the replay's id."""
        return subscriptions.replay(self, uuid, from_date)
