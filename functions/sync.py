"""`sync`: replicate new objects to all other replicas. Started by Pub/Sub, topic `object-events`."""

import time
from contextlib import suppress

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
from shared.errors import IllegalArguments
from shared.maintenance.sweep import REPLICATION, leave_alone
from shared.messages import ObjectEvent
from shared.replication import Replicated, replicate
from shared.system import Dss

_log = structlog.get_logger()


@functions_framework.http
def sync(request: Request) -> Answer:
    """Replicate the object of an object event. Events may be repeated, late, and in any order."""
    return handle(system(), request, ObjectReplication(system()))


class ObjectReplication(PushHandler):
    """Replicates the object of an object event, and logs each replica that gains it."""

    traced_by_object = True

    def __init__(self, dss: Dss) -> None:
        self._dss = dss

    def process(self, message: Message) -> None:
        """Replicate the object to all replicas that lack it."""
        replicate(self._dss, ObjectEvent.parse(message.attributes), _ReplicationLog().replicated)

    def give_up(self, message: Message, reason: str, error: Exception | None) -> None:
        """Have sweeps leave the object alone."""
        del reason
        with suppress(IllegalArguments):
            leave_alone(self._dss, ObjectEvent.parse(message.attributes), REPLICATION, error)


class _ReplicationLog:
    """Logs the replicas that gain an object, with the seconds since the log was created."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def replicated(self, done: Replicated) -> None:
        """Log that an object is available on a replica."""
        seconds = round(time.monotonic() - self._start, 3)
        _log.info("replicated", key=done.key, replica=done.replica, bytes=done.bytes, seconds=seconds)
