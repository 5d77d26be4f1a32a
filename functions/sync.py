"""`sync`: what one replica has appears on all others. Started by Pub/Sub, topic `object-events`."""

import time

import functions_framework
import structlog
from flask import Request

from functions.push import Answer, Message, handle
from functions.runtime import system
from shared.messages import ObjectEvent
from shared.replication import Replicated, replicate

_log = structlog.get_logger()


@functions_framework.http
def sync(request: Request) -> Answer:
    """Replicate what an object event tells of. Every event may come twice, late, and in any order."""
    dss = system()

    def work(message: Message) -> None:
        began = time.monotonic()

        def note(done: Replicated) -> None:
            seconds = round(time.monotonic() - began, 3)
            _log.info("replicated", key=done.key, replica=done.replica, bytes=done.bytes, seconds=seconds)

        replicate(dss, ObjectEvent.parse(message.attributes), note)

    return handle(dss, request, work)
