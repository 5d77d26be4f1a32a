"""What all commands share: their options, their client, and how they print results and errors."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dss.commands.exit_codes import exit_code_of
from dss.errors import ClientError
from dss.profiles import Settings, load_settings
from dss.progress import Progress, Unit
from dss.reports import Report
from dss.sign_in.credentials import token_source
from dss.sign_in.sources import TokenSource

if TYPE_CHECKING:
    from dss.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])

DIRECTORY = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
TEXT_FILE = click.File(encoding="utf-8")
JOBS = click.IntRange(1, 64)

# Warnings and failures that are listed on stderr; `--json` lists all.
_LISTED = 20


@dataclass
class Context:
    """The options that every command has, anywhere on the command line."""

    given: dict[str, str] = field(default_factory=dict)
    patience: float = 120.0
    json: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The options, and what environment variables and the profile add. Raises InvalidInput."""
        return load_settings(**self.given)

    @property
    def replica(self) -> str:
        """The cloud to use."""
        return self.settings.replica

    @cached_property
    def tokens(self) -> TokenSource:
        """Where tokens come from. Raises InvalidInput."""
        return token_source(self.settings)

    @property
    def token(self) -> str | None:
        """A token that is valid now, or None. Raises SignInFailed, Unreachable."""
        return self.tokens.token()

    def client(self, progress: Progress | None = None) -> "Client":
        """Return a client of the DSS. Raises InvalidInput if no URL is given."""
        # Its imports take a tenth of a second, which `--help` does without.
        from dss.client import Client

        notify = (progress or self.progress("")).note
        return Client(
            self.settings.url,
            self.tokens,
            replica=self.replica,
            profile=self.settings.profile,
            patience=self.patience,
            notify=notify,
        )

    def use_cloud_of(self, bucket: str, option: str) -> None:
        """Use the replica in whose cloud a bucket is, gs://… or s3://…, which this option names.

        Raises click.UsageError for other URLs, and if `--replica` names another one.
        """
        replica = {"gs": "gcp", "s3": "aws"}.get(bucket.partition("://")[0])
        if replica is None:
            raise click.UsageError(
                f"{option}: {bucket[:120]!r} is not of the form gs://BUCKET or s3://BUCKET"
            )
        if self.given.setdefault("replica", replica) != replica:
            raise click.UsageError(f"--replica: {bucket} is in the cloud of {replica}")

    def progress(self, title: str, *, unit: Unit = "files", total: int | None = None) -> Progress:
        """Return the progress of some work on stderr; silent with `--json`."""
        return Progress(title, unit=unit, total=total, quiet=self.json)

    def show(self, result: Any, text: str | None = None) -> None:
        """Print a result on stdout: as text if there is one, as JSON if not or with `--json`."""
        if self.json or text is None:
            print(json.dumps(result, indent=None if self.json else 2), flush=True)
        elif text:
            print(text, flush=True)

    def fail(self, error: ClientError) -> int:
        """Print the error that ended a command; return the exit code."""
        if self.json:
            print(json.dumps({"error": error.as_json()}), flush=True)
        print(f"dss: {error}", file=sys.stderr)
        return exit_code_of(error)

    def conclude(self, report: Report, text: str, *, most: int = _LISTED) -> int:
        """Print what became of files, with the reasons of `most` failures; return the exit code."""
        self.show(report.as_json(), text if report.ok else "")
        for warning in report.warnings[:_LISTED]:
            print(f"dss: warning: {warning}", file=sys.stderr)
        if len(report.warnings) > _LISTED:
            print(f"  … and {len(report.warnings) - _LISTED} more (--json lists all)", file=sys.stderr)
        if report.ok:
            return 0
        print(f"dss: {len(report.failed)} of {report.extent} failed:", file=sys.stderr)
        for failure in report.failed[:most]:
            print(f"  {failure.name}: {failure.why}", file=sys.stderr)
        if len(report.failed) > most:
            print(f"  … and {len(report.failed) - most} more (--json lists all)", file=sys.stderr)
        return 1


_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--url", {"metavar": "URL", "help": "The DSS, as https://HOST [DSS_URL]."}),
    ("--profile", {"metavar": "NAME", "help": "The profile with the rest of the options [DSS_PROFILE]."}),
    ("--token", {"metavar": "JWT", "help": "The token that says who you are [DSS_TOKEN]."}),
    ("--key-file", {"metavar": "PATH", "help": "Key of a service account that signs tokens [DSS_KEY_FILE]."}),
    (
        "--replica",
        {"metavar": "NAME", "help": "The cloud to use: gcp, aws, or another replica  [default: gcp]"},
    ),
    ("--patience", {"type": float, "help": "Seconds for which to retry each call  [default: 120]"}),
    ("--json", {"is_flag": True, "default": None, "help": "Print one JSON object on stdout, nothing else."}),
)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is None or parameter.name is None:
        return
    options = context.ensure_object(Context)
    if parameter.name in ("patience", "json"):
        setattr(options, parameter.name, value)
    else:
        options.given[parameter.name] = value


def json_option(command: Command) -> Command:
    """Give a command `--json` alone, for those that do not call a DSS."""
    flag, settings = _OPTIONS[-1]
    return click.option(flag, expose_value=False, callback=_remember, **settings)(command)


def shared_options(command: Command) -> Command:
    """Give a command the options of Context; the last one on the command line counts."""
    for flag, settings in reversed(_OPTIONS):
        command = click.option(flag, expose_value=False, callback=_remember, **settings)(command)
    return command


def bundle_version(command: Command) -> Command:
    """Give a command `--version`, that of a bundle."""
    text = "Version of the bundle  [default: the newest]"
    return click.option("--version", metavar="VERSION", help=text)(command)
