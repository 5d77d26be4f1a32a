"""`dss token`: print the token in use, or a new one."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from dss import environment, tokens
from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput


@click.command(
    epilog=examples(
        "dss token                     # the one in use; its claims on stderr",
        "dss token --key-file key.json --audience https://dss.example.org/",
    )
)
@click.option("--audience", help="Audience of a token that --key-file signs [DSS_AUDIENCE].")
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
    try:
        claims = tokens.claims_of(text)
        note = json.dumps(claims, indent=2)
    except InvalidInput:
        claims, note = None, "dss: the token is opaque: only its issuer knows what it says"
    if not context.json:
        print(note, file=sys.stderr)
    context.show({"token": text, "claims": claims}, text)
    return 0


def _token(
    context: Context,
    seconds: int,
    audience: str | None,
    claims: tuple[str, ...],
    email: str | None,
    group: str | None,
) -> str:
    if "key_file" in context.given:
        settings = context.settings
        audience = audience or settings.audience
        if not audience:
            raise InvalidInput("--key-file needs --audience: the audience that the DSS accepts")
        pairs = [claim.partition("=") for claim in claims]
        if not all(equals for _, equals, _ in pairs):
            raise InvalidInput("--claim: give NAME=VALUE")
        named = {**settings.claims, **{name: value for name, _, value in pairs}}
        return tokens.sign(Path(str(settings.key_file)), audience=audience, seconds=seconds, claims=named)
    if email:
        token_url = environment.local_token_url()
        if not token_url:
            raise InvalidInput("DSS_LOCAL_TOKEN_URL is not set; source the env file that `dss local` writes")
        return tokens.fetch_local(token_url, email=email, group=group, seconds=seconds)
    text = context.token
    if not text:
        raise InvalidInput("no token in use; run `dss login`, give --token, or sign one with --key-file")
    return text
