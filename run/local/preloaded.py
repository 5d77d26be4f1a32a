"""What the process has imported that `run.local.forked` forks: most of what API, functions and `dss` need.

Nothing is connected here, and no settings are read: clients of gRPC do not survive a fork.
"""

import gc

import functions_framework
import gunicorn.app.wsgiapp
import gunicorn.workers.gthread

import functions.main
import run.api.app
import run.cli.admin
import run.cli.checkout_commands
import run.cli.collection_commands
import run.cli.commands
import run.cli.event_commands
import run.cli.staging
import run.cli.subscription_commands
import shared.wiring

__all__ = ["functions", "functions_framework", "gunicorn", "run", "shared"]

# Pages of memory that are never written to stay shared, and no collection goes through what is here.
gc.freeze()
