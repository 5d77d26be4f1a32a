"""The dependencies of a running system, opened in the test's own process."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from google.cloud import firestore

from shared.config import Settings
from shared.messages import BUNDLE_EVENTS
from shared.system import Dss
from shared.wiring import open_system


@contextmanager
def open_dss(stack: Mapping[str, str]) -> Iterator[Dss]:
    """Open the system's dependencies on a running stack."""
    kept = dict(os.environ)
    os.environ.update(stack)
    try:
        yield open_system(Settings.from_environment(stack))
    finally:
        os.environ.clear()
        os.environ.update(kept)


def open_dss_for_threads(env: Mapping[str, str]) -> Dss:
    """Return a running system as its own processes open it, to be used by any thread of this one."""
    with mock.patch.dict(os.environ, env):
        dss = open_system(Settings.from_environment())
        # At the first use the publisher looks for its emulator in the environment. Nobody listens.
        dss.publisher.publish(BUNDLE_EVENTS, {"to": "nobody"})
    return dss


def firestore_client(env: Mapping[str, str]) -> firestore.Client:
    """Return a client of the emulator of a running system."""
    with mock.patch.dict(os.environ, {"FIRESTORE_EMULATOR_HOST": env["FIRESTORE_EMULATOR_HOST"]}):
        return firestore.Client(project=env["GOOGLE_CLOUD_PROJECT"])
