"""`sync`: replicate new objects to all other replicas. Started by Pub/Sub, topic `object-events`."""

import time

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, PushHandler, handle
from functions.runtime import system
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

    def __init__(self, dss: Dss) -> None:
        self._dss = dss

    def process(self, message: Message) -> None:
        """Replicate the object to all replicas that lack it."""
        replicate(self._dss, ObjectEvent.parse(message.attributes), _ReplicationLog().replicated)


class _ReplicationLog:
    """Logs the replicas that gain an object, with the seconds since the log was created."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def replicated(self, done: Replicated) -> None:
        """Log that an object is available on a replica."""
        seconds = round(time.monotonic() - self._start, 3)
        _log.info("replicated", key=done.key, replica=done.replica, bytes=done.bytes, seconds=seconds)
