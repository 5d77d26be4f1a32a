"""The commands that talk to a DSS; what they do is in the modules they call."""

import json
import os
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import click

from dss import tokens
from dss.commands.context import Context, shared_options
from dss.errors import Refused
from dss.transfer.download import DownloadOptions
from dss.transfer.download import download as download_bundle
from dss.transfer.ranges import RANGE_BYTES
from dss.transfer.single_file import fetch_file, stream_file
from dss.transfer.upload import UploadOptions
from dss.transfer.upload import upload as upload_directory

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_JOBS = click.IntRange(1, 64)


@click.command()
@click.argument("directory", metavar="DIR", type=_FOLDER)
@click.option("--bundle-uuid", metavar="UUID", help="UUID of the bundle  [default: a new one]")
@click.option("--version", metavar="VERSION", help="Version of the bundle  [default: now]")
@click.option(
    "--staging",
    metavar="URL",
    help="gs://bucket/prefix or s3://bucket/prefix [DSS_GS_STAGING_BUCKET or DSS_S3_STAGING_BUCKET].",
)
@click.option("--creator-uid", type=int, default=0, show_default=True, help="Number that stands for you.")
@click.option("--jobs", type=_JOBS, default=8, show_default=True, help="Files at once.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Names to leave out; may be repeated.")
@click.option("--state", type=_FILE, help="Where to remember what is done  [default: in ~/.cache/dss]")
@click.option("--keep-staged", is_flag=True, help="Leave the staged objects where they are.")
@shared_options
@click.pass_obj
def upload(context: Context, /, directory: Path, **chosen: Any) -> int:
    """Make a directory a bundle. Run it again after an interruption: it does the rest."""
    tokens.check_usable(context.token)
    with context.meter("upload") as meter:
        options = UploadOptions(meter=meter, **chosen)
        report = upload_directory(context.client(meter), directory, options)
    verb = "was there already:" if report.already_there else "uploaded:"
    text = (
        f"{report.uuid}.{report.version}\n"
        f"{verb} {report.files} files, {report.bytes:,} bytes, {report.seconds:.1f} s "
        f"({report.put} files put in this run)"
    )
    return context.conclude(report, text)


@click.command()
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Version of the bundle  [default: the newest]")
@click.option("--to", type=_FOLDER, metavar="DIR", help="Directory to fill  [default: ./UUID.VERSION]")
@click.option("--jobs", type=_JOBS, default=8, show_default=True, help="Files, and ranges, at once.")
@click.option("--name", "names", metavar="GLOB", multiple=True, help="Only such names; may be repeated.")
@click.option(
    "--range-mib",
    type=click.IntRange(1, 1024),
    default=RANGE_BYTES // 2**20,
    show_default=True,
    help="Larger files are fetched in parallel ranges of so many MiB.",
)
@shared_options
@click.pass_obj
def download(context: Context, /, uuid: str, version: str | None, range_mib: int, **chosen: Any) -> int:
    """Fetch the files of a bundle, each verified. Run it again after an interruption: it does the rest."""
    with context.meter("download") as meter:
        options = DownloadOptions(meter=meter, range_bytes=range_mib * 2**20, **chosen)
        report = download_bundle(context.client(meter), uuid, version, options)
    text = (
        f"{report.directory}\n"
        f"{report.downloaded} files downloaded, {report.skipped} there already, "
        f"{report.bytes:,} bytes verified, {report.seconds:.1f} s"
    )
    return context.conclude(report, text)


@click.group()
@shared_options
def get() -> None:
    """Print one bundle's manifest, or fetch one file."""


@get.command("file")
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Version of the file  [default: the newest]")
@click.option("--output", metavar="PATH", default="-", show_default=True, help="Where to; - is stdout.")
@click.option("--jobs", type=_JOBS, default=8, show_default=True, help="Ranges at once.")
@shared_options
@click.pass_obj
def get_file(context: Context, uuid: str, version: str | None, output: str, jobs: int) -> int:
    """Fetch one file version, verified."""
    if output == "-":
        if context.json:
            raise Refused("--json and the file can't both go to stdout: give --output PATH")
        stream_file(context.client(), uuid, version, sys.stdout.fileno())
        return 0
    with context.meter("get file") as meter:
        report = fetch_file(context.client(meter), uuid, version, Path(output), jobs=jobs, meter=meter)
    return context.conclude(report, f"{output}: {report.bytes:,} bytes verified, {report.seconds:.1f} s")


@get.command("bundle")
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Version of the bundle  [default: the newest]")
@click.option("--presigned-urls", is_flag=True, help="With a signed URL of each file.")
@click.option("--direct-urls", is_flag=True, help="With a gs:// or s3:// URL of each file, checked out.")
@shared_options
@click.pass_obj
def get_bundle(
    context: Context, uuid: str, version: str | None, presigned_urls: bool, direct_urls: bool
) -> int:
    """Print a bundle's manifest, all of its pages, as JSON."""
    context.show(context.client().bundle(uuid, version, presigned=presigned_urls, direct=direct_urls))
    return 0


@click.command("list")
@click.option("--prefix", help="Only UUIDs that begin so.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@shared_options
@click.pass_obj
def list_bundles(context: Context, prefix: str | None, limit: int | None) -> int:
    """List the bundle versions that are not hidden, as UUID.VERSION."""
    bundles = islice(context.client().bundles(prefix, per_page=min(500, max(10, limit or 500))), limit)
    if context.json:
        rows = [{"uuid": row["uuid"], "version": row["version"]} for row in bundles]
        context.show({"replica": context.replica, "bundles": rows})
        return 0
    for row in bundles:
        print(f"{row['uuid']}.{row['version']}")
    return 0


@click.command()
@click.argument("query", metavar="QUERY|@FILE")
@click.option("--raw", is_flag=True, help="Print the metadata documents, one a line.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@shared_options
@click.pass_obj
def search(context: Context, query: str, raw: bool, limit: int | None) -> int:
    """Find bundle versions by an Elasticsearch query, in JSON or in a file (@- is stdin)."""
    found = islice(context.client().search(_query_of(query), raw=raw), limit)
    if context.json:
        context.show({"replica": context.replica, "results": list(found)})
        return 0
    for result in found:
        print(json.dumps(result["metadata"]) if raw else result["bundle_fqid"])
    return 0


def _query_of(text: str) -> Any:
    try:
        if text.startswith("@"):
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the query is not JSON: {error}") from error


@click.command()
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Hide only this version.")
@click.option("--reason", required=True, help="Why; kept with the tombstone.")
@shared_options
@click.pass_obj
def delete(context: Context, uuid: str, version: str | None, reason: str) -> int:
    """Hide a bundle (or one version of it) on the replica, for ever. Admins only."""
    tokens.check_usable(context.token)
    context.client().delete_bundle(uuid, version, reason=reason)
    name = f"{uuid}.{version}" if version else uuid
    result = {"uuid": uuid, "version": version, "replica": context.replica, "reason": reason}
    context.show(result, f"{name} is hidden")
    return 0


@click.command()
@click.option("--key-file", type=_FILE, help="Sign a token with this service account's key (JSON).")
@click.option("--audience", help="Audience of a signed token; needed with --key-file.")
@click.option(
    "--claim", "claims", metavar="NAME=VALUE", multiple=True, help="Adds a claim to a signed token."
)
@click.option("--email", help="Ask the local stack's issuer [DSS_LOCAL_TOKEN_URL] for a token of this user.")
@click.option("--group", help="Group of that user.")
@click.option(
    "--seconds", type=click.IntRange(1), default=3600, show_default=True, help="Life of a new token."
)
@shared_options
@click.pass_obj
def token(context: Context, /, seconds: int, **chosen: Any) -> int:
    """Print the token in use, or a new one, on stdout; what it claims goes to stderr."""
    text = _token_asked_for(context, seconds, **chosen)
    claims = tokens.claims_of(text)
    if not context.json:
        print(json.dumps(claims, indent=2), file=sys.stderr)
    context.show({"token": text, "claims": claims}, text)
    return 0


def _token_asked_for(
    context: Context,
    seconds: int,
    key_file: Path | None,
    audience: str | None,
    claims: tuple[str, ...],
    email: str | None,
    group: str | None,
) -> str:
    if key_file:
        if not audience:
            raise Refused("--key-file needs --audience: the one that the DSS is configured to accept")
        pairs = [claim.partition("=") for claim in claims]
        if not all(equals for _, equals, _ in pairs):
            raise Refused("--claim: NAME=VALUE is wanted")
        named = {name: value for name, _, value in pairs}
        return tokens.sign(key_file, audience=audience, seconds=seconds, claims=named)
    if email:
        token_url = os.environ.get("DSS_LOCAL_TOKEN_URL")
        if not token_url:
            raise Refused("DSS_LOCAL_TOKEN_URL is not set: source the env file that `dss local` writes")
        return tokens.fetch_local(token_url, email=email, group=group, seconds=seconds)
    if not context.token:
        raise Refused("no token in use: --token or DSS_TOKEN, or --key-file to sign one")
    return context.token
