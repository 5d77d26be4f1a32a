"""Exports in a bucket: the DSS checks the bundle out to it, and what makes it a bag or a crate is added.

No file passes through this machine. A checkout goes to `bundles/UUID.VERSION/` of the bucket, where a plain
export and a crate are. A bag has its files below `data/`, so they are copied, inside the bucket, to
`bags/UUID.VERSION/data/`; and so is everything that goes below a prefix.

The file that makes a directory a bag or a crate is written last. Until what is copied is complete, an object
beside it says so, and whether the checkout was made for it alone: then that is removed at the end.
"""

from collections.abc import Mapping

from dss.api.checkouts import checkout
from dss.api.session import Session
from dss.errors import InvalidInput
from dss.export.contents import Contents, TagFiles
from dss.export.export import ExportOptions
from dss.export.forms import Form
from dss.export.reports import ExportReport
from dss.listing import BundleFile
from dss.progress import Progress
from dss.transfer.attempts import Attempts
from dss.transfer.buckets import Bucket, open_bucket

_MARK = ".dss-export"
# The content of that object, if the checkout was made for the export, and if it was there before.
_MADE, _FOUND = b"The checkout was made for this export.\n", b"The checkout was there before.\n"
# Of terabytes; what is copied by then is not copied again.
_CHECKOUT_SECONDS = 24 * 3600.0
_TEXT, _JSON = "text/plain; charset=UTF-8", "application/ld+json"


class BucketDestination:
    """A bucket of the caller's, gs://BUCKET or s3://BUCKET, in the cloud of the session's replica; or a place
    in it, gs://BUCKET/PREFIX.

    A plain export without a prefix needs no right of the caller there, and none of the clouds' libraries.
    """

    # Keys have steps of any length; a bag or crate with one that no directory can have is of no use.
    longest = 255

    def __init__(self, session: Session, location: str, form: Form) -> None:
        self._session = session
        self._location = location.rstrip("/")
        scheme, _, rest = self._location.partition("://")
        self._name, _, prefix = rest.partition("/")
        steps = prefix.split("/") if prefix else []
        if not self._name or not all(steps) or {".", ".."} & {*steps}:
            raise InvalidInput(
                f"--to: {location[:120]!r} is not of the form gs://BUCKET or s3://BUCKET, "
                "or gs://BUCKET/PREFIX without empty steps"
            )
        self._bucket = f"{scheme}://{self._name}"
        # With a slash at the end, or empty.
        self._prefix = f"{prefix}/" if prefix else ""
        self._opened = None
        if form.name != "plain" or self._prefix:
            self._opened = open_bucket(self._bucket, option="--to", right="read and write")

    def location_of(self, contents: Contents, form: Form) -> str:
        """See Destination."""
        return f"{self._location}/{_directory(contents, form)}".rstrip("/")

    def has(self, contents: Contents, tag_files: TagFiles, options: ExportOptions) -> bool:
        """See Destination. Compares sizes, and the file that names the checksums; reads no other."""
        form = options.form
        if self._opened is None:
            # The DSS knows: a checkout that is there is not made again.
            return False
        if form.name != "plain":
            contents.check_keys()
        base = self._base(contents, form)
        there = dict(self._opened.sizes(base))
        keys = {} if form.holey else self._keys(contents, form)
        self._check(base, there, keys, tag_files, form)
        wanted = {**keys, **{base + name: len(content) for name, content in tag_files}}
        return base + _MARK not in there and all(there.get(key) == size for key, size in wanted.items())

    def _check(
        self,
        base: str,
        there: Mapping[str, int],
        keys: Mapping[str, int],
        tag_files: TagFiles,
        form: Form,
    ) -> None:
        """Raise InvalidInput if another export is there, or files that would be a part of this one."""
        wrong = ""
        for name, content in tag_files:
            key = base + name
            if name == form.telling and key in there and self._opened and self._opened.read(key) != content:
                wrong = f"its {name} is another one"
        strange = [key for key in there if form.payload and key.startswith(base + form.payload)]
        strange = [key for key in strange if key not in keys]
        if strange:
            wrong = f"{strange[0].removeprefix(base)!r} is no part of it"
        if wrong:
            raise InvalidInput(
                f"{self._bucket}/{base} has something else than this export: {wrong}; remove it, or give "
                "another --to"
            )

    def write(
        self, contents: Contents, tag_files: TagFiles, options: ExportOptions, report: ExportReport
    ) -> bool:
        """See Destination. A checkout that was made before, of a plain export or a crate, stays."""
        form, base, bucket = options.form, self._base(contents, options.form), self._opened
        if bucket is None:
            self._check_out(contents, options.progress)
            return True
        checked_out = f"bundles/{contents.fqid}/"
        is_copied = not form.holey and base + form.payload != checked_out
        mark = bucket.read(base + _MARK) if is_copied else None
        if is_copied and mark is None:
            mark = _MADE if next(bucket.sizes(checked_out), None) is None else _FOUND
            bucket.write(base + _MARK, mark, _TEXT)
        if not form.holey:
            self._check_out(contents, options.progress)
        if is_copied and not self._copy(bucket, contents, options, report):
            return False
        for name, content in tag_files:
            bucket.write(base + name, content, _JSON if name.endswith(".json") else _TEXT)
        if mark == _MADE:
            for key, _ in list(bucket.sizes(checked_out)):
                bucket.delete(key)
        if is_copied:
            bucket.delete(base + _MARK)
        return True

    def _check_out(self, contents: Contents, progress: Progress) -> None:
        files = contents.files
        job = checkout(self._session, files.uuid, files.version, bucket=self._name, email=None)
        job.wait(seconds=_CHECKOUT_SECONDS, progress=progress.phase("check out"))

    def _copy(self, bucket: Bucket, contents: Contents, options: ExportOptions, report: ExportReport) -> bool:
        """Copy the files of a checkout to the export; return False if one failed."""
        base, before = self._base(contents, options.form), len(report.failed)
        there = dict(bucket.sizes(base))
        phase = options.progress.phase("copy", items=len(contents.files), size=contents.files.size)
        session = self._session.renewed()

        def copy(file: BundleFile) -> None:
            key = base + options.form.payload + file.name
            if there.get(key) == file.size:
                phase.skip(items=1, size=file.size)
                return
            bucket.copy(f"bundles/{contents.fqid}/{file.name}", key)
            phase.advance(items=1, size=file.size)

        attempts = Attempts(report, session.clock, jobs=options.jobs)
        attempts.each(contents.files, copy, lambda file: f"{contents.fqid}/{file.name}")
        return len(report.failed) == before

    def _base(self, contents: Contents, form: Form) -> str:
        return self._prefix + _directory(contents, form)

    def _keys(self, contents: Contents, form: Form) -> dict[str, int]:
        """Return the sizes of the files of an export, by key: see `check_keys`."""
        base = self._base(contents, form) + form.payload
        return {base + file.name: file.size for file in contents.files}


def _directory(contents: Contents, form: Form) -> str:
    return f"{'bags' if form.name == 'bag' else 'bundles'}/{contents.fqid}/"
