"""Exports in a bucket: the DSS checks the bundle out to it, and what makes it a bag or a crate is added.

No file passes through this machine. A checkout goes to `bundles/UUID.VERSION/` of the bucket, where a plain
export and a crate are. A bag has its files below `data/`, so they are copied, inside the bucket, to
`bags/UUID.VERSION/data/`.

The file that makes a directory a bag or a crate is written last. Until a bag is complete, an object beside it
says that the checkout was made for it alone, and so is removed at the end.
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
# Of terabytes; what is copied by then is not copied again.
_CHECKOUT_SECONDS = 24 * 3600.0
_TEXT, _JSON = "text/plain; charset=UTF-8", "application/ld+json"


class BucketDestination:
    """A bucket of the caller's, gs://BUCKET or s3://BUCKET, in the cloud of the session's replica.

    A plain export needs no right of the caller there, and none of the clouds' libraries.
    """

    # Keys have steps of any length; a bag or crate with one that no directory can have is of no use.
    longest = 255

    def __init__(self, session: Session, location: str, form: Form) -> None:
        self._session = session
        self._location = location.rstrip("/")
        self._name = self._location.partition("://")[2]
        if not self._name or "/" in self._name:
            raise InvalidInput(
                f"--to: {location[:120]!r} is not of the form gs://BUCKET or s3://BUCKET; the DSS copies to "
                "bundles/UUID.VERSION there"
            )
        self._opened = None
        if form.name != "plain":
            self._opened = open_bucket(self._location, option="--to", right="read and write")

    def location_of(self, contents: Contents, form: Form) -> str:
        """See Destination."""
        return f"{self._location}/{_base(contents, form)}".rstrip("/")

    def has(self, contents: Contents, tag_files: TagFiles, options: ExportOptions) -> bool:
        """See Destination. Compares sizes, and the file that names the checksums; reads no other."""
        form = options.form
        if self._opened is None:
            # The DSS knows: a checkout that is there is not made again.
            return False
        contents.check_keys()
        base = _base(contents, form)
        there = dict(self._opened.sizes(base))
        keys = {} if form.holey else _keys(contents, form)
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
                f"{self._location}/{base} has something else than this export: {wrong}; remove it, or give "
                "another --to"
            )

    def write(
        self, contents: Contents, tag_files: TagFiles, options: ExportOptions, report: ExportReport
    ) -> bool:
        """See Destination. A checkout that was made before, of a plain export or a crate, stays."""
        form, base, bucket = options.form, _base(contents, options.form), self._opened
        if bucket is None:
            self._check_out(contents, options.progress)
            return True
        checked_out = f"bundles/{contents.fqid}/"
        if form.name == "bag" and not form.holey and next(bucket.sizes(checked_out), None) is None:
            bucket.write(base + _MARK, b"The checkout was made for this bag.\n", _TEXT)
        if not form.holey:
            self._check_out(contents, options.progress)
        if form.payload and not form.holey and not self._copy(bucket, contents, options, report):
            return False
        for name, content in tag_files:
            bucket.write(base + name, content, _JSON if name.endswith(".json") else _TEXT)
        if bucket.read(base + _MARK) is not None:
            for key, _ in list(bucket.sizes(checked_out)):
                bucket.delete(key)
            bucket.delete(base + _MARK)
        return True

    def _check_out(self, contents: Contents, progress: Progress) -> None:
        files = contents.files
        job = checkout(self._session, files.uuid, files.version, bucket=self._name, email=None)
        job.wait(seconds=_CHECKOUT_SECONDS, progress=progress.phase("check out"))

    def _copy(self, bucket: Bucket, contents: Contents, options: ExportOptions, report: ExportReport) -> bool:
        """Copy the files of a checkout to the bag; return False if one failed."""
        base, before = _base(contents, options.form), len(report.failed)
        there = dict(bucket.sizes(base))
        phase = options.progress.phase("copy", items=len(contents.files), size=contents.files.size)
        session = self._session.renewed()

        def copy(file: BundleFile) -> None:
            key = base + options.form.payload + contents.paths[file.name]
            if there.get(key) == file.size:
                phase.skip(items=1, size=file.size)
                return
            bucket.copy(f"bundles/{contents.fqid}/{file.name}", key)
            phase.advance(items=1, size=file.size)

        attempts = Attempts(report, session.clock, jobs=options.jobs)
        attempts.each(contents.files, copy, lambda file: f"{contents.fqid}/{file.name}")
        return len(report.failed) == before


def _base(contents: Contents, form: Form) -> str:
    return f"{'bags' if form.name == 'bag' else 'bundles'}/{contents.fqid}/"


def _keys(contents: Contents, form: Form) -> dict[str, int]:
    """Return the sizes of the files of an export, by key."""
    base = _base(contents, form) + form.payload
    return {base + contents.paths[file.name]: file.size for file in contents.files}
