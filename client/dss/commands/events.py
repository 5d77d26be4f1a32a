"""`dss events`: the bundles that came to a replica, and those that were deleted, in order of time."""

import click

from dss.commands.context import Context, shared_options
from dss.commands.help import examples
from dss.errors import InvalidInput
from dss.identifiers import check_version, date_of, version_of


class _Date(click.ParamType[str]):
    """A version, or an ISO 8601 date or time, UTC unless it has a time zone; converted to a version."""

    name = "date"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_version(value)
        except InvalidInput:
            pass
        try:
            return version_of(date_of(value))
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog=examples(
        "dss events --from 2026-01-12",
        "dss events --from 2026-01-12T09:30:00Z --to 2026-01-13",
        "dss events --follow --json",
    )
)
@click.option("--from", "from_date", type=_Date(), metavar="DATE", help="List events from then on.")
@click.option("--to", "to_date", type=_Date(), metavar="DATE", help="List events before then.")
@click.option("--follow", is_flag=True, help="Go on with new events until Ctrl-C.")
@shared_options
@click.pass_obj
def events(context: Context, from_date: str | None, to_date: str | None, follow: bool) -> None:
    """List bundles that came to a replica, or were deleted, one event a line; with --json with documents."""
    for event in context.client().events(from_date, to_date, follow=follow):
        context.show(event.as_json(), f"{event.timestamp}  {event.event_type:9}  {event.bundle}")
