"""`dss admin`: the group of its commands."""

import click

from dss.commands.context import json_option
from run.admin.commands.access import access
from run.admin.commands.audit import audit
from run.admin.commands.checkouts import checkout
from run.admin.commands.dead_letters import dead_letters
from run.admin.commands.events import events
from run.admin.commands.explore import explore
from run.admin.commands.group import group
from run.admin.commands.index import index
from run.admin.commands.migrate import migrate
from run.admin.commands.named import repair, sync, verify
from run.admin.commands.purge import purge, purge_removal, purges
from run.admin.commands.queues import queues
from run.admin.commands.rebuild import rebuild
from run.admin.commands.replication import replication
from run.admin.commands.runs import fill_cache, resync, runs, tombstones
from run.admin.commands.settings import settings
from run.admin.commands.subscriptions import secrets, subscriptions
from run.admin.commands.switches import read_only, start, stop
from run.admin.commands.who import who


@click.group()
@json_option
def admin() -> None:
    """Commands for operators. Settings come from the environment, the same as for the services."""


for command in (
    *(access, group, audit, rebuild, replication, index, explore),
    *(purge, purges, purge_removal),
    *(resync, fill_cache, tombstones, runs, dead_letters, who),
    *(verify, repair, sync, checkout, events),
    *(subscriptions, secrets, settings, queues, migrate),
    *(read_only, stop, start),
):
    admin.add_command(command)
