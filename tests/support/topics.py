"""Topics of the Pub/Sub emulator of a running system that has none of its own."""

from collections.abc import Mapping

import requests

from tests.support.api import TIMEOUT


def make_topics(env: Mapping[str, str], *names: str) -> None:
    """Make topics, unless they exist. What is published to them nobody gets."""
    project = f"http://{env['PUBSUB_EMULATOR_HOST']}/v1/projects/{env['GOOGLE_CLOUD_PROJECT']}"
    for name in names:
        answer = requests.put(f"{project}/topics/{name}", json={}, timeout=TIMEOUT)
        assert answer.status_code in (200, 409), answer.text
