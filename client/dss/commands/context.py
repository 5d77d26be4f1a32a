"""What all commands share: their options, their client, and how they tell what they did."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from dss.client import Client
from dss.errors import CliError, Refused
from dss.progress import Counter, Meter, counter_for, meter_for
from dss.reports import Report

Command = TypeVar("Command", bound=Callable[..., Any])
_LISTED = 20


@dataclass
class Context:
    """The options that every command has, wherever on the line they stand."""

    url: str | None = None
    token: str | None = None
    replica: str = "gcp"
    patience: float = 120.0
    json: bool = False

    def client(self, meter: Meter | None = None) -> Client:
        """Return a client of the DSS that was named. Raises Refused where none was."""
        if not self.url:
            raise Refused("which DSS? --url or DSS_URL")
        notify = (meter or self.meter("")).note
        return Client(
            self.url, self.token or None, replica=self.replica, patience=self.patience, notify=notify
        )

    def meter(self, title: str) -> Meter:
        """Return a meter for something under way; silent with `--json`."""
        return meter_for(title, quiet=self.json)

    def counter(self, title: str, total: int) -> Counter:
        """Return a counter of some thousands of things; silent with `--json`."""
        return counter_for(title, total, quiet=self.json)

    def show(self, result: Any, text: str | None = None) -> None:
        """Print a result on stdout: as JSON, or as text where that is given and JSON was not asked for."""
        if self.json or text is None:
            print(json.dumps(result, indent=None if self.json else 2), flush=True)
        elif text:
            print(text, flush=True)

    def fail(self, error: CliError) -> int:
        """Tell that nothing came of it; return the exit code."""
        if self.json:
            print(json.dumps({"error": error.as_json()}), flush=True)
        print(f"dss: {error}", file=sys.stderr)
        return 1

    def conclude(self, report: Report, text: str) -> int:
        """Tell what became of files, those that failed each with its reason; return the exit code."""
        self.show(report.as_json(), text if report.ok else "")
        for warning in report.warnings:
            print(f"dss: warning: {warning}", file=sys.stderr)
        if report.ok:
            return 0
        print(f"dss: {len(report.failed)} of {report.files} files failed:", file=sys.stderr)
        for failure in report.failed[:_LISTED]:
            print(f"  {failure.name}: {failure.why}", file=sys.stderr)
        if len(report.failed) > _LISTED:
            print(f"  … and {len(report.failed) - _LISTED} more (--json lists all)", file=sys.stderr)
        return 1


_ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--url", {"metavar": "URL", "help": "The DSS, as https://host [DSS_URL]."}),
    ("--token", {"metavar": "JWT", "help": "Token that says who you are [DSS_TOKEN]."}),
    (
        "--replica",
        {"metavar": "NAME", "help": "Which cloud's copy: gcp, aws, or a further one  [default: gcp]"},
    ),
    ("--patience", {"type": float, "help": "Seconds to try each call for  [default: 120]"}),
    ("--json", {"is_flag": True, "default": None, "help": "One JSON object on stdout, nothing else."}),
)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None and parameter.name is not None:
        setattr(context.ensure_object(Context), parameter.name, value)


def json_option(command: Command) -> Command:
    """Give a command `--json` alone, where it does not talk to a DSS."""
    flag, settings = _ROWS[-1]
    return click.option(flag, expose_value=False, callback=_remember, **settings)(command)


def shared_options(command: Command) -> Command:
    """Give a command the options of Context; what stands last on the line counts."""
    for flag, settings in reversed(_ROWS):
        command = click.option(flag, expose_value=False, callback=_remember, **settings)(command)
    return command
