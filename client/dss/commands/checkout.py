"""`dss checkout`: copy a bundle's files, under their names, to a bucket."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from dss import tokens
from dss.commands.context import Context, bundle_version, shared_options
from dss.commands.exit_codes import DONE, FAILED, NOT_FOUND
from dss.commands.help import examples

if TYPE_CHECKING:
    from dss.api.checkouts import Checkout

_CODES = {
    DONE: "it was started, runs, or has succeeded",
    FAILED: "it failed; stderr says why",
    NOT_FOUND: "there is no such bundle or job",
}


@click.command(
    epilog=examples(
        "dss checkout UUID --wait                      # gs://BUCKET/bundles/UUID.VERSION",
        "dss checkout UUID --to-bucket my-bucket       # prints the id of the job",
        "dss checkout --job JOB --watch",
        codes=_CODES,
    )
)
@click.argument("bundle", required=False)
@bundle_version
@click.option(
    "--to-bucket",
    metavar="BUCKET",
    help="A bucket of yours, by its name; needs a token  [default: the DSS's own]",
)
@click.option("--email", metavar="ADDRESS", help="Address to send a mail to when it ends.")
@click.option("--job", metavar="ID", help="Show a checkout that was started earlier.")
@click.option("--wait", is_flag=True, help="Wait until it ends, and print the location of the files.")
@click.option("--watch", is_flag=True, help="Wait, and show how far it has come.")
@shared_options
@click.pass_obj
def checkout(
    context: Context,
    /,
    bundle: str | None,
    version: str | None,
    to_bucket: str | None,
    email: str | None,
    job: str | None,
    wait: bool,
    watch: bool,
) -> int:
    """Copy a bundle to a bucket. Prints the job's id, or with --wait the location of the copies.

    The DSS needs the right to write to a bucket of yours, and in it an object .dss-checkout-allowed: a text
    with your e-mail address, or the name of a group of yours, on a line of its own.
    """
    if (bundle is None) == (job is None):
        raise click.UsageError("give a BUNDLE to copy, or --job ID to show")
    if job is not None and (version or to_bucket or email):
        raise click.UsageError("--job: it takes no --version, --to-bucket and --email")
    if to_bucket:
        tokens.check_usable(context.token)
    client = context.client()
    if job is not None:
        found = client.find_checkout(job)
    else:
        found = client.checkout(str(bundle), version, bucket=to_bucket, email=email)
    if wait or watch:
        _wait(context, found, watch=watch)
        text = found.location
    else:
        text = found.id if job is None else _state(found.details)
    context.show({"checkout_job_id": found.id, "replica": context.replica, **found.details}, text)
    return FAILED if job is not None and found.status == "FAILED" else DONE


def _wait(context: Context, job: "Checkout", *, watch: bool) -> None:
    if not watch:
        job.wait()
        return
    with context.progress(f"checkout {job.id}") as progress:
        job.wait(progress=progress.phase("copy"))


def _state(details: Mapping[str, Any]) -> str:
    state = str(details["status"])
    if "location" in details and state == "SUCCEEDED":
        return f"{state}: {details['location']}"
    if "cause" in details:
        return f"{state}: {details['cause']}"
    if "files" in details:
        return f"{state}: {details.get('files_done', 0):,} of {details['files']:,} files copied"
    return state
