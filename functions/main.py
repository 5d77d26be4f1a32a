"""The entry points of all functions, for `--entry-point` of a deployment."""

from functions.administer import administer
from functions.checkout import checkout
from functions.compact import compact
from functions.config import let_idle_workers_live
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

let_idle_workers_live()

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
