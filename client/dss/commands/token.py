"""`dss token`: print the token in use, or a new one."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from dss import environment, tokens
from dss.commands.context import FILE, Context, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput


@click.command(
    epilog=examples(
        "dss token                     # the one in use; its claims on stderr",
        "dss token --key-file key.json --audience https://dss.example.org/",
    )
)
@click.option("--key-file", type=FILE, help="Sign a token with this service account's key (JSON).")
@click.option("--audience", help="Audience of a signed token; needed with --key-file.")
@click.option(
    "--claim",
    "claims",
    metavar="NAME=VALUE",
    multiple=True,
    help="Add a claim to a signed token; repeatable.",
)
@click.option("--email", help="Get a token of this user from the local system [DSS_LOCAL_TOKEN_URL].")
@click.option("--group", help="Group of that user.")
@click.option(
    "--seconds", type=click.IntRange(1), default=3600, show_default=True, help="Lifetime of a new token."
)
@shared_options
@click.pass_obj
def token(context: Context, /, seconds: int, **options: Any) -> int:
    """Print the token in use, or a new one, on stdout, and its claims on stderr."""
    text = _token(context, seconds, **options)
    claims = tokens.claims_of(text)
    if not context.json:
        print(json.dumps(claims, indent=2), file=sys.stderr)
    context.show({"token": text, "claims": claims}, text)
    return 0


def _token(
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
            raise InvalidInput("--key-file needs --audience: the audience that the DSS accepts")
        pairs = [claim.partition("=") for claim in claims]
        if not all(equals for _, equals, _ in pairs):
            raise InvalidInput("--claim: give NAME=VALUE")
        named = {name: value for name, _, value in pairs}
        return tokens.sign(key_file, audience=audience, seconds=seconds, claims=named)
    if email:
        token_url = environment.local_token_url()
        if not token_url:
            raise InvalidInput("DSS_LOCAL_TOKEN_URL is not set; source the env file that `dss local` writes")
        return tokens.fetch_local(token_url, email=email, group=group, seconds=seconds)
    if not context.token:
        raise InvalidInput("no token in use; give --token, set DSS_TOKEN, or sign one with --key-file")
    return context.token
