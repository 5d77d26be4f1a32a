"""`dss copy-bundles`: copy bundles from one DSS, or a bucket, to another DSS."""

from typing import TYPE_CHECKING, Any, TextIO

import click

from dss.commands.consent import dry_run
from dss.commands.context import TEXT_FILE, Context, shared_options
from dss.commands.help import examples
from dss.errors import NoToken
from dss.profiles import base_of
from dss.progress import Progress
from dss.sign_in.credentials import login_at

if TYPE_CHECKING:
    from dss.client import Client

# All failures are listed.
_ALL = 2**31


@click.command(
    "copy-bundles",
    epilog=examples(
        "dss copy-bundles --source https://old.example.org --destination https://dss.example.org "
        "--bundle UUID.VERSION",
        "dss copy-bundles --source https://old.example.org --manifest mine.tsv --prefix 4",
        "dss copy-bundles --source s3://bucket-of-old --all --dry-run",
    ),
)
@click.option(
    "-s",
    "--source",
    metavar="URL",
    required=True,
    help="The DSS to copy from, https://HOST, or the bucket of one that nobody serves: gs://BUCKET, s3://BUCKET.",
)
@click.option("-d", "--destination", metavar="URL", help="The DSS to copy to  [default: --url]")
@click.option(
    "-b", "--bundle", "bundles", metavar="UUID.VERSION", multiple=True, help="A bundle; repeatable."
)
@click.argument("more", metavar="[UUID.VERSION]...", nargs=-1)
@click.option(
    "-m",
    "--manifest",
    metavar="TSV",
    type=TEXT_FILE,
    help="A table with columns bundle_uuid and bundle_version, as a compact manifest; - is stdin.",
)
@click.option("--all", "everything", is_flag=True, help="All bundles of the source.")
@click.option("-p", "--prefix", metavar="HEX", default="", help="Only bundles whose UUID begins like this.")
@click.option("-x", "--suffix", metavar="HEX", default="", help="Only bundles whose UUID ends like this.")
@click.option(
    "-K", "--keep-version", is_flag=True, help="Copies have the versions of originals: the default."
)
@click.option(
    "-S", "--set-version", metavar="VERSION", help="All copies, of bundles and files, have this one."
)
@click.option(
    "-M",
    "--map-version",
    metavar="SECONDS",
    type=float,
    help="Add so many seconds, such as 1.5 or -3600, to each version.",
)
@click.option("-N", "--new-version", is_flag=True, help="All copies have the version of this moment.")
@click.option(
    "-f",
    "--fix-tags",
    is_flag=True,
    help="Tag blobs of the source whose checksums the destination misses; needs the right to.",
)
@click.option(
    "-P",
    "--personal",
    is_flag=True,
    help="Write by your login at the destination, and by no other credentials.",
)
@click.option(
    "--source-token", metavar="JWT", help="A token for the source  [default: your login there, if any]"
)
@click.option(
    "--source-bucket", metavar="URL", help="gs://BUCKET or s3://BUCKET of the source, if its URLs don't tell."
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=32, show_default=True, help="Files to copy at once."
)
@dry_run
@shared_options
@click.pass_obj
def copy_bundles(
    context: Context,
    /,
    source: str,
    destination: str | None,
    bundles: tuple[str, ...],
    more: tuple[str, ...],
    manifest: TextIO | None,
    everything: bool,
    prefix: str,
    suffix: str,
    fix_tags: bool,
    personal: bool,
    source_token: str | None,
    source_bucket: str | None,
    jobs: int,
    dry_run: bool,
    **versions: Any,
) -> int:
    """Copy bundles to another DSS. Run it again to do what is missing.

    The destination takes each file from the blob of the source, inside their cloud, so it must be allowed to
    read there and to take files from there (its DSS_SOURCES). UUIDs stay the same. A bundle is put when all
    its files are there; all that fails is listed, and the rest is done. --replica says which cloud.
    """
    named = (*bundles, *more)
    if [bool(named), manifest is not None, everything].count(True) != 1:
        raise click.UsageError("name bundles with --bundle, give --manifest TSV, or --all: one of these")
    from dss.copying.selection import bundles_in

    given = [name for name, value in versions.items() if value is not None and value is not False]
    if len(given) > 1:
        raise click.UsageError(
            "--keep-version, --set-version, --map-version, --new-version: give one of them"
        )
    versions.pop("keep_version")
    with context.progress("copy") as progress:
        to = _destination(context, source, destination, progress, personal=personal)
        found = [each.fqid for each in bundles_in(manifest)] if manifest else list(named)
        report = to.copy_bundles(
            source,
            None if everything else found,
            prefix=prefix,
            suffix=suffix,
            fix_tags=fix_tags,
            source_token=source_token,
            source_bucket=source_bucket,
            jobs=jobs,
            dry_run=dry_run,
            progress=progress,
            **versions,
        )
    would = "would be copied" if dry_run else "copied"
    text = (
        f"{report.copied} bundles {would} to {report.destination}, {report.already_there} there already, "
        f"of {report.bundles}: {report.files} files, {report.bytes:,} bytes, {report.seconds:.1f} s"
    )
    return context.conclude(report, text, most=_ALL)


def _destination(
    context: Context, source: str, url: str | None, progress: Progress, *, personal: bool
) -> "Client":
    """Return a client of the destination, on the replica in whose cloud the source is."""
    from dss.copying.sources import is_bucket

    if url:
        context.given["url"] = url
    if is_bucket(source):
        context.use_cloud_of(source, "--source")
    elif context.settings.url and base_of(context.settings.url) == base_of(source):
        raise click.UsageError("--source and --destination are the same DSS")
    if not personal:
        return context.client(progress)
    if "token" in context.given or "key_file" in context.given:
        raise click.UsageError("--personal: it takes no --token and no --key-file")
    login = login_at(context.settings.url) if context.settings.url else None
    if login is None:
        raise NoToken(f"--personal: you are not signed in; run dss login --url {context.settings.url}")
    context.tokens = login
    return context.client(progress)
