"""The imports of the process that `local.supervisor.forkserver` forks: those of API, functions and `dss`.

Importing them opens no connection and reads no settings: clients of gRPC do not survive a fork. What each of
them would read first, from files of packages, is read too.
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
from shared.stores.s3.session import descriptions

__all__ = ["functions", "functions_framework", "gunicorn", "run", "shared", "uvicorn"]

functions.main.import_all()
descriptions()
# Memory pages that are never written stay shared; the garbage collector skips what is frozen.
gc.freeze()
