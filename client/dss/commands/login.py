"""`dss login`: sign in at the issuer of a DSS."""

import sys
from typing import TYPE_CHECKING, Any

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput, SignInFailed
from dss.profiles import add_profile, base_of, profile_names

if TYPE_CHECKING:
    from dss.sign_in.store import StoredLogin


@click.command(
    epilog=examples(
        "dss login --url https://dss.example.org",
        "dss login --no-browser",
    )
)
@click.option("--no-browser", is_flag=True, help="Sign in with the browser of another machine.")
@click.option("--issuer", metavar="URL", help="The OpenID provider, if the DSS names none [DSS_ISSUER].")
@click.option("--client-id", metavar="ID", help="The OAuth client, if the DSS names none [DSS_CLIENT_ID].")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port for the browser to return to  [default: any]"
)
@click.option(
    "--store",
    type=click.Choice(["keyring", "file"]),
    help="Where to keep the login  [default: the system's keyring if it works, else a file]",
)
@click.option(
    "--seconds", type=click.IntRange(1, 3600), default=300, show_default=True, help="How long to wait."
)
@shared_options
@click.pass_obj
def login(context: Context, /, **options: Any) -> int:
    """Sign in to a DSS, and stay signed in: tokens are refreshed by themselves.

    The DSS says at which issuer. The first login makes this DSS that of the profile `default`; with --profile
    and --url, a login makes that profile if there is none of its name.
    """
    new_profile = _new_profile(context)
    for name in ("issuer", "client_id"):
        if options[name]:
            context.given[name] = options[name]
    made, place = _signed_in(context, **options)
    if new_profile:
        add_profile(new_profile, made.url)
    who = str(made.claims.get("email") or made.claims.get("sub") or "somebody")
    context.show(
        {"url": made.url, "issuer": made.issuer, "who": who, "stored_in": place},
        f"Signed in to {made.url} as {who}. The login is in {place}.",
    )
    if context.tokens.origin != f"login at {made.issuer}":
        print(f"dss: warning: {context.tokens.origin} counts instead of this login", file=sys.stderr)
    return 0


def _signed_in(
    context: Context, *, no_browser: bool, port: int | None, store: str | None, seconds: int, **_: Any
) -> "tuple[StoredLogin, str]":
    from dss.sign_in.flows import SignIn
    from dss.sign_in.provider import Provider
    from dss.sign_in.registration import registration_of
    from dss.sign_in.store import LoginStore

    url = context.settings.url
    if not url:
        raise InvalidInput("no DSS to sign in to; give --url https://HOST, or set DSS_URL")
    registration = registration_of(context.settings)
    sign_in = SignIn(
        url=base_of(url),
        provider=Provider.discover(registration.issuer),
        registration=registration,
        person=_Terminal(),
        seconds=seconds,
    )
    if port is not None:
        sign_in = sign_in.with_port(port)
    made = sign_in.without_browser() if no_browser else sign_in.by_browser()
    logins = LoginStore()
    with logins.lock():
        return made, logins.save(made, in_keyring=None if store is None else store == "keyring")


def _new_profile(context: Context) -> str | None:
    """Return the name of the profile to make, and don't ask for it: that asked for, or the very first one."""
    if "url" not in context.given:
        return None
    known = profile_names()
    if "profile" not in context.given:
        return None if known else "default"
    return None if context.given["profile"] in known else context.given.pop("profile")


class _Terminal:
    """The person at the terminal; stdout stays free for results."""

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def ask(self, question: str) -> str:
        print(question, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline(20_000)
        if not line:
            raise SignInFailed("nothing was pasted; start again at a terminal")
        return line
