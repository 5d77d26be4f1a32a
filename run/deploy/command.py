"""`dss deploy`: the group of its commands."""

from pathlib import Path

import click

from dss.commands.context import FILE, Context, json_option
from dss.commands.help import examples


@click.group()
@json_option
def deploy() -> None:
    """Check a deployment before it is made, and try it afterwards; in a checkout."""


@deploy.command(
    epilog=examples(
        "dss deploy check --offline --project my-project dss.tfvars",
        "dss deploy check --project my-project --region us-east1 dss.tfvars",
    )
)
@click.argument("variables", type=FILE)
@click.option("--project", required=True, metavar="ID", help="The Google Cloud project.")
@click.option("--region", default="us-east1", show_default=True, help="The region of Cloud Run.")
@click.option("--stage", default="", metavar="NAME", help="Name of the deployment, if it is one of several.")
@click.option(
    "--terraform",
    type=click.Path(path_type=Path, file_okay=False),
    default="terraform",
    show_default=True,
    metavar="DIRECTORY",
    help="The Terraform of the checkout.",
)
@click.option(
    "--offline", is_flag=True, help="Ask no cloud: programs, variables, names, numbers of instances."
)
@json_option
@click.pass_obj
def check(
    context: Context, variables: Path, project: str, region: str, stage: str, terraform: Path, offline: bool
) -> int:
    """Say what keeps a deployment with these VARIABLES from working, and what to do; change nothing.

    Asks both clouds with the credentials of gcloud and aws on this machine. The exit code is 1 if it
    would not work.
    """
    from run.deploy.check import run_check

    return run_check(
        context,
        terraform=terraform,
        variables=variables,
        project=project,
        region=region,
        stage=stage,
        offline=offline,
    )


@deploy.command(epilog=examples("dss deploy smoke https://dss-api-123.us-east1.run.app --version 3f2a91c"))
@click.argument("url")
@click.option("--version", default="", metavar="COMMIT", help="The version that has to answer.")
@click.option("--wait", type=click.FloatRange(0), default=60, show_default=True, help="Seconds to try for.")
@json_option
@click.pass_obj
def smoke(context: Context, url: str, version: str, wait: float) -> int:
    """Try whether the API at URL works: its version, its contract, its health, and a list in both clouds.

    It writes nothing. The exit code is 1 if something does not work.
    """
    from run.deploy.smoke import run_smoke

    return run_smoke(context, url, version=version, seconds=wait)
