"""The dependencies of a running system, opened in the test's own process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from google.cloud import firestore

from shared.config import Settings
from shared.messages import BUNDLE_EVENTS, OBJECT_EVENTS, ObjectEvent
from shared.system import Dss
from shared.wiring import open_system


@contextmanager
def open_dss(stack: Mapping[str, str]) -> Iterator[Dss]:
    """Open the dependencies of a running stack; meanwhile os.environ has its settings."""
    before = dict(os.environ)
    os.environ.update(stack)
    try:
        yield open_system(Settings.from_environment(stack))
    finally:
        os.environ.clear()
        os.environ.update(before)


def open_dss_for_threads(
    env: Mapping[str, str], *, publishes: bool = True, first: ObjectEvent | None = None
) -> Dss:
    """Return the dependencies of a running system, for any thread; os.environ stays as it is.

    Without `publishes`, the system may be one without topics, and has no catalogues, which would hear of
    changes. If it has functions, they get the `first` event, which does nothing; else nobody gets what opens
    the publisher.
    """
    with mock.patch.dict(os.environ, env if publishes else {**env, "DSS_CATALOGUES": ""}):
        dss = open_system(Settings.from_environment())
        # The publisher reads the emulator's address from os.environ when it is first used. Nobody subscribes.
        if publishes and first:
            dss.publisher.publish(OBJECT_EVENTS, first.attributes)
        elif publishes:
            dss.publisher.publish(BUNDLE_EVENTS, {"to": "nobody"})
    return dss


def firestore_client(env: Mapping[str, str]) -> firestore.Client:
    """Return a client of the Firestore emulator of a running system."""
    with mock.patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": env["FIRESTORE_EMULATOR_HOST"]}):
        return firestore.Client(project=env["GOOGLE_CLOUD_PROJECT"])
