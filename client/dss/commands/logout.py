"""`dss logout`: end a login."""

import sys
from typing import TYPE_CHECKING

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import ClientError, InvalidInput
from dss.profiles import base_of
from dss.tokens import moment

if TYPE_CHECKING:
    from dss.sign_in.store import LoginStore, StoredLogin


@click.command(
    epilog=examples(
        "dss logout",
    )
)
@click.option("--all", "everywhere", is_flag=True, help="End the logins at every DSS.")
@shared_options
@click.pass_obj
def logout(context: Context, everywhere: bool) -> int:
    """Forget a login, and revoke it at the issuer if that can be done."""
    from dss.sign_in.store import LoginStore

    store = LoginStore()
    url = context.settings.url
    if not url and not everywhere:
        raise InvalidInput("no DSS to sign out of; give --url or --all")
    ended = store.urls() if everywhere else [base_of(str(url))]
    with store.lock():
        rows = [_end(store, one) for one in ended]
    lines = [f"{row['url']}: {row['outcome']}" for row in rows]
    context.show({"logins": rows}, "\n".join(lines) or "there are no logins")
    return 0


def _end(store: "LoginStore", url: str) -> dict[str, str]:
    from dss.sign_in.login import revoke

    try:
        known = store.load(url)
    except InvalidInput as error:
        print(f"dss: warning: it can't be revoked: {error}", file=sys.stderr)
        known = None
    if not store.delete(url):
        return {"url": url, "outcome": "there was no login"}
    outcome = "forgotten"
    if known:
        try:
            outcome = "revoked and forgotten" if revoke(known) else f"forgotten; {_not_revoked(known)}"
        except ClientError as error:
            print(f"dss: warning: {known.issuer} has not revoked it: {error}", file=sys.stderr)
    return {"url": url, "outcome": outcome}


def _not_revoked(known: "StoredLogin") -> str:
    from dss.sign_in.login import has_revocable

    if has_revocable(known):
        return f"{known.issuer} can't revoke it"
    return f"not revoked: its ID token can't be, and expires at {moment(known.expires_at)}"
