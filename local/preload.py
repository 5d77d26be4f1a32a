"""What the process has imported that `local.forkserver` forks: most of what API, functions and `dss` need.

Nothing is connected here, and no settings are read: clients of gRPC do not survive a fork.
"""

import gc

import functions_framework
import gunicorn.app.wsgiapp
import uvicorn

import functions.main
import run.admin.command
import run.api.app
import run.api.worker
import shared.wiring

__all__ = ["functions", "functions_framework", "gunicorn", "run", "shared", "uvicorn"]

# Pages of memory that are never written to stay shared, and no collection goes through what is here.
gc.freeze()
