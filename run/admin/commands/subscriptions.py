"""`dss admin subscriptions` and `secrets`: the subscriptions of everybody, and what signs their calls."""

import click

from dss.commands.consent import agree, yes
from dss.commands.context import Context, json_option
from dss.commands.help import examples
from run.admin.commands import options


@click.group()
@json_option
def subscriptions() -> None:
    """List and delete the subscriptions of everybody."""


@subscriptions.command("list", epilog=examples("dss admin subscriptions list --owner ada@example.org"))
@options.replicas
@click.option("--owner", default="", metavar="EMAIL", help="Only those of this owner.")
@json_option
@click.pass_obj
def list_all(context: Context, replicas: tuple[str, ...], owner: str) -> int:
    """List subscriptions, with their owners and callback URLs. One read each."""
    from run.admin.subscriptions import list_subscriptions

    return list_subscriptions(context, replicas, owner)


@subscriptions.command(epilog=examples("dss admin subscriptions delete UUID --dry-run"))
@click.argument("uuid")
@options.dry_run
@yes
@json_option
@click.pass_obj
def delete(context: Context, uuid: str, dry_run: bool, yes: bool) -> int:
    """Delete a subscription of any owner. Notifications that wait for it are dropped."""
    from run.admin import subscriptions as work

    if dry_run:
        return work.find_one(context, uuid)
    agree(f"delete subscription {uuid}", yes=yes)
    return work.delete(context, uuid)


@click.group()
@json_option
def secrets() -> None:
    """Check the secrets that the deployment keeps, and encrypt them anew."""


@secrets.command(epilog=examples("dss admin secrets check"))
@json_option
@click.pass_obj
def check(context: Context) -> int:
    """Check that DSS_SECRETS_KEY_FILE decrypts the secret of each subscription. Prints none.

    Exit code 1 if it does not, or a secret is lost: such notifications cannot be sent.
    """
    from run.admin.subscriptions import check_secrets

    return check_secrets(context)


@secrets.command(epilog=examples("dss admin secrets encrypt --dry-run"))
@options.dry_run
@json_option
@click.pass_obj
def encrypt(context: Context, dry_run: bool) -> int:
    """Encrypt the secret of each subscription by the first key of DSS_SECRETS_KEY_FILE.

    Then the keys after it decrypt nothing that is kept. The exit code is 1 if no key decrypts a secret.
    """
    from run.admin.subscriptions import encrypt_secrets

    return encrypt_secrets(context, dry_run=dry_run)
