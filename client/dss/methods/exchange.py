"""What a client can exchange with others: exports that their programs take, and copies of other DSSs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dss.api.session import Session
from dss.copying import copy
from dss.copying.copy import CopyOptions
from dss.copying.opening import named_bundle, open_source, version_rule
from dss.copying.reports import CopyReport
from dss.copying.selection import Ends, check_distinct, chosen
from dss.export.destinations import destination_at
from dss.export.export import ExportOptions
from dss.export.export import export as export_bundles
from dss.export.forms import Form, FormName
from dss.export.reports import ExportReport
from dss.progress import Progress, progress_of
from dss.references import resolve


class ExchangeMethods(Session):
    """Exports of bundles to disks and buckets, and copies from another DSS."""

    def export(
        self,
        *bundles: str,
        to: str | Path,
        form: FormName,
        holey: bool = False,
        license_text: str | None = None,
        jobs: int = 8,
        dry_run: bool = False,
        progress: Progress | bool | None = None,
    ) -> ExportReport:
        """Make each bundle a `bag`, an `ro-crate`, or a `plain` directory, on a disk or in a bucket::

            report = client.export(uuid, to="my/exports", form="plain")
            print(report.locations)

        `to` is a directory, or gs://BUCKET or s3://BUCKET in the cloud of this client's replica, with a
        prefix or without. An export is complete or not there, and the same call again does what is missing.
        A `holey` bag has URLs of its files, and no files; `license_text` is for a crate. The report's
        `failed` has the bundles and files that failed. Raises MissingExtra and Busy.
        """
        chosen_form = Form(name=form, holey=holey, license_text=license_text)
        with progress_of(progress, "export") as shown:
            destination = destination_at(self, to, chosen_form)
            wanted = list(dict.fromkeys(replace(resolve(text, url=self.url), host=None) for text in bundles))
            options = ExportOptions(form=chosen_form, jobs=jobs, dry_run=dry_run, progress=shown)
            return export_bundles(self, wanted, destination, options)

    def copy_bundles(
        self,
        source: str,
        bundles: Sequence[str] | None = None,
        *,
        prefix: str = "",
        suffix: str = "",
        set_version: str | None = None,
        map_version: float | None = None,
        new_version: bool = False,
        fix_tags: bool = False,
        source_token: str | None = None,
        source_bucket: str | None = None,
        jobs: int = copy.WORKERS,
        dry_run: bool = False,
        progress: Progress | bool | None = None,
    ) -> CopyReport:
        """Copy bundles of another DSS, or of the bucket of one that nobody serves, to this client's DSS::

            report = client.copy_bundles("gs://bucket-of-old", [uuid], map_version=-3600)
            print(report.copied, report.already_there, report.files, report.bytes)

        `source` is https://HOST, gs://BUCKET or s3://BUCKET; without `bundles` all of its bundles are copied
        whose UUIDs have the `prefix` and the `suffix`. Content goes from blob to blob, inside the cloud.
        Copies have the versions of the originals, or `set_version`, or versions that are `map_version`
        seconds later, or with `new_version` that of this moment. `fix_tags` tags blobs of the source whose
        checksums the destination misses. A DSS as source gets `source_token`, or that of your login there;
        `source_bucket` is where its blobs are, if its URLs don't tell. The same call again does what is
        missing; the report's `failed` has what failed. Raises MissingExtra.
        """
        ends = Ends(prefix=prefix, suffix=suffix)
        rule, one_for_all = version_rule(
            self, set_version=set_version, map_version=map_version, new_version=new_version
        )
        with progress_of(progress, "copy") as shown:
            named = None if bundles is None else [named_bundle(source, text) for text in bundles]
            opened = open_source(source, source_bucket, source_token, self)
            found = chosen(opened.bundles(ends.prefix) if named is None else named, ends)
            if one_for_all:
                check_distinct(found)
            options = CopyOptions(version=rule, fix_tags=fix_tags, jobs=jobs, dry_run=dry_run, progress=shown)
            report = copy.copy_bundles(opened, self, found, options)
        if new_version and not report.ok:
            # Another new version would be another copy of what is done.
            report.warnings.append(f"to do the rest, run it again with --set-version {rule('')}")
        return report
