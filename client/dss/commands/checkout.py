"""`dss checkout`: a bundle's files, under their names, in a bucket."""

import click

from dss.commands.context import Context, shared_options


@click.command()
@click.argument("uuid")
@click.option("--version", metavar="VERSION", help="Version of the bundle  [default: the newest]")
@click.option(
    "--to-bucket", metavar="BUCKET", help="Your own, to which the DSS has access  [default: the DSS's]"
)
@click.option("--email", metavar="ADDRESS", help="Whom to tell how it ended.")
@click.option("--wait", is_flag=True, help="Wait until it is done, and print where the files are.")
@shared_options
@click.pass_obj
def checkout(
    context: Context, uuid: str, version: str | None, to_bucket: str | None, email: str | None, wait: bool
) -> int:
    """Have a bundle copied into a bucket. Prints the job's id; with --wait, where the copies are."""
    client = context.client()
    job_id = client.checkout(uuid, version, bucket=to_bucket, email=email)
    status = client.wait_for_checkout(job_id) if wait else client.checkout_status(job_id)
    text = status["location"] if wait else job_id
    context.show({"checkout_job_id": job_id, "replica": context.replica, **status}, text)
    return 0
