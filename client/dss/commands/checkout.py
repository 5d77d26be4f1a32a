"""`dss checkout`: copy a bundle's files, under their names, to a bucket."""

import click

from dss import tokens
from dss.commands.context import Context, bundle_version, shared_options


@click.command()
@click.argument("uuid")
@bundle_version
@click.option(
    "--to-bucket",
    metavar="BUCKET",
    help="A bucket of yours, by its name; needs a token  [default: the DSS's own]",
)
@click.option("--email", metavar="ADDRESS", help="Address to send a mail to when it ends.")
@click.option("--wait", is_flag=True, help="Wait until it ends, and print the location of the files.")
@shared_options
@click.pass_obj
def checkout(
    context: Context, uuid: str, version: str | None, to_bucket: str | None, email: str | None, wait: bool
) -> int:
    """Copy a bundle to a bucket. Prints the job's id, or with --wait the location of the copies.

    The DSS needs the right to write to a bucket of yours, and in it an object .dss-checkout-allowed: a text
    with your e-mail address, or the name of a group of yours, on a line of its own.
    """
    if to_bucket:
        tokens.check_usable(context.token)
    client = context.client()
    job = client.checkout(uuid, version, bucket=to_bucket, email=email)
    text = job.wait().location if wait else job.id
    context.show({"checkout_job_id": job.id, "replica": context.replica, **job.details}, text)
    return 0
