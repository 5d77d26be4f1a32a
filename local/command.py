"""`dss local`: the whole system on this machine, until Ctrl-C."""

import os
import signal
import sys
import time
from pathlib import Path

import click

from dss.commands.help import examples
from local import envfile
from local.components import TABLE
from local.components.latency import delayed
from local.components.search import BACK_ENDS
from local.config import PATIENCE
from local.errors import LocalError, StartInterrupted
from local.stack import Stack, Stop


@click.command("local", epilog=examples("dss local --port 0 --env-file .dss/env", "dss local --data my/data"))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of the API; 0: a free one.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(".dss/env"),
    show_default=True,
    help="Write every address and token to this file, for sh to source.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for logs, keys and GCS's files; kept at the end, emptied at the next start."
    "  [default: a temporary one]",
)
@click.option(
    "--index",
    type=click.Choice(BACK_ENDS),
    help=f"Back end of POST /search.  [default: DSS_INDEX, or {BACK_ENDS[0]}]",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="How long a component may take to start before the start fails.",
)
@click.option(
    "--latency",
    type=click.FloatRange(min=0),
    default=0,
    metavar="MILLISECONDS",
    help="Delay before every request to GCS, S3 and Firestore, as on the way to a cloud.  [default: none]",
)
@click.option("--app", default="run.api.main:app", hidden=True, help="The API's application.")
def local(
    port: int, env_file: Path, data: Path | None, index: str | None, patience: float, latency: float, app: str
) -> None:
    """Run the whole system on this machine, until Ctrl-C.

    STORAGE_EMULATOR_HOST in the environment names a GCS server to use instead of ours. Settings of the API in
    the environment (DSS_READ_ONLY_MODE=1) are passed on.
    """
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop.request)
    began = time.monotonic()
    stack = Stack(
        port=port,
        data=data,
        caller={**os.environ, **({"DSS_INDEX": index} if index else {})},
        table=delayed(TABLE, latency) if latency else TABLE,
        api_app=app,
        patience=patience,
        stop=stop,
        report=lambda text: click.echo(text, err=True),
        # A program that waits for the file must not find that of an earlier run.
        on_start=lambda: env_file.unlink(missing_ok=True),
    )
    try:
        with stack.running() as env:
            envfile.write(env_file, env)
            click.echo(f"all ready after {time.monotonic() - began:.1f} s; . {env_file}", err=True)
            click.echo(f"open it: {env['DSS_URL']}/", err=True)
            click.echo(f"DSS is ready at {env['DSS_URL']}")
            stack.watch()
            click.echo("stopping", err=True)
    except StartInterrupted:
        sys.exit(128 + stop.signal)
    except (LocalError, OSError) as error:
        raise click.ClickException(str(error)) from error
