"""The entry points of all functions, for `--entry-point` of a deployment."""

import os

from functions.administer import administer
from functions.checkout import checkout
from functions.compact import compact
from functions.copy import copy
from functions.deliver import deliver, redeliver
from functions.explore import explore
from functions.importer import importer
from functions.index import index
from functions.manifest import manifest
from functions.notify import notify
from functions.s3_events import s3_events
from functions.sweep import sweep
from functions.sync import sync

# functions-framework, which reads it after this module, gives it to gunicorn as the time within which a
# worker must be heard of. An idle instance has no CPU: a worker of many threads would be taken for a hung
# one, and be killed with the next request. It says nothing of hung threads; a worker of one it does end.
if os.environ.get("THREADS", "1") != "1":
    os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"

__all__ = [
    "administer",
    "checkout",
    "compact",
    "copy",
    "deliver",
    "explore",
    "importer",
    "index",
    "manifest",
    "notify",
    "redeliver",
    "s3_events",
    "sweep",
    "sync",
]
