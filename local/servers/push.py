"""Pub/Sub's push side, for one machine: `python -m local.servers.push CONFIG`.

The emulator pushes too, but heeds neither retry policies nor dead-letter policies, and does not tell which
attempt a push is. Here the emulator keeps the messages, and this process pulls them and pushes them to
the functions as Pub/Sub does: an answer of 2xx is an acknowledgement, everything else is tried again after a
delay that doubles. It also does what Cloud Scheduler does: it calls functions at intervals.
"""

import base64
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from google.api_core import exceptions
from google.cloud.pubsub import SubscriberClient
from requests.adapters import HTTPAdapter

# Pushes of one subscription that wait for an answer at once. Pub/Sub begins with few and raises it as long
# as the function keeps up; the functions here have so many threads, all processes together.
_AT_ONCE = 32
# Pub/Sub: an acknowledgement deadline is 600 seconds at most.
_LONGEST_DELAY = 600


@dataclass(frozen=True, kw_only=True)
class PushSubscription:
    """Where the messages of a topic are pushed to, and how failures are retried, in seconds."""

    name: str
    topic: str
    endpoint: str
    ack_deadline_seconds: int
    minimum_backoff_seconds: float
    maximum_backoff_seconds: float

    def delay(self, attempt: int) -> float:
        """Return how long to wait after a failed attempt, counted from 1."""
        doubled: float = self.minimum_backoff_seconds * 2 ** min(attempt - 1, 30)
        return min(doubled, self.maximum_backoff_seconds)


class Pusher:
    """Pulls one subscription, and pushes what it has."""

    def __init__(self, project: str, subscription: PushSubscription) -> None:
        self._subscription = subscription
        self._client = SubscriberClient()
        self._path = self._client.subscription_path(project, subscription.name)
        self._attempts: dict[str, int] = {}
        self._free = threading.Semaphore(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=subscription.name)
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_AT_ONCE))

    def run(self, stop: threading.Event) -> None:
        """Push until asked to stop."""
        while not stop.is_set():
            self._free.acquire()
            more = 1
            while more < _AT_ONCE and self._free.acquire(blocking=False):
                more += 1
            received = self._pull(more)
            self._keep(received)
            for _ in range(more - len(received)):
                self._free.release()
            for message in received:
                self._threads.submit(self._deliver, message)

    def _pull(self, count: int) -> list[Any]:
        try:
            answer = self._client.pull(subscription=self._path, max_messages=count, timeout=30, retry=None)
            return list(answer.received_messages)
        except exceptions.DeadlineExceeded:
            return []
        except exceptions.GoogleAPICallError as error:
            print(f"pull of {self._subscription.name}: {error}", file=sys.stderr)
            time.sleep(1)
            return []

    def _keep(self, received: list[Any]) -> None:
        if received:
            self._delay([message.ack_id for message in received], self._subscription.ack_deadline_seconds)

    def _delay(self, ack_ids: list[str], seconds: int) -> None:
        """Let the emulator hand messages out again only after so many seconds."""
        try:
            self._client.modify_ack_deadline(
                subscription=self._path, ack_ids=ack_ids, ack_deadline_seconds=seconds
            )
        except exceptions.GoogleAPICallError as error:
            # They come again sooner, which does no harm.
            print(f"delay for {self._subscription.name}: {error}", file=sys.stderr)

    def _deliver(self, received: Any) -> None:
        try:
            message_id = received.message.message_id
            attempt = self._attempts[message_id] = self._attempts.get(message_id, 0) + 1
            if self._push(received.message, attempt):
                self._client.acknowledge(subscription=self._path, ack_ids=[received.ack_id])
                self._attempts.pop(message_id, None)
            else:
                delay = min(_LONGEST_DELAY, max(1, round(self._subscription.delay(attempt))))
                self._delay([received.ack_id], delay)
        except exceptions.GoogleAPICallError as error:
            # The emulator hands it out again by itself, though late.
            print(f"answer for {self._subscription.name}: {error}", file=sys.stderr)
        finally:
            self._free.release()

    def _push(self, message: Any, attempt: int) -> bool:
        body = {
            "message": {
                "attributes": dict(message.attributes),
                "data": base64.b64encode(message.data).decode(),
                "messageId": message.message_id,
                "publishTime": message.publish_time.isoformat(),
            },
            "subscription": self._path,
            "deliveryAttempt": attempt,
        }
        try:
            deadline = self._subscription.ack_deadline_seconds
            return self._session.post(self._subscription.endpoint, json=body, timeout=deadline).ok
        except requests.RequestException as error:
            print(f"push to {self._subscription.endpoint}: {error}", file=sys.stderr)
            return False


def call_regularly(url: str, seconds: float, stop: threading.Event) -> None:
    """Call a function at intervals, as Cloud Scheduler does, until asked to stop."""
    while not stop.wait(seconds):
        try:
            requests.post(url, json={}, timeout=600)
        except requests.RequestException as error:
            print(f"call of {url}: {error}", file=sys.stderr)


def main() -> None:
    """Run what the configuration file, JSON, describes, until SIGTERM."""
    config = json.loads(Path(sys.argv[1]).read_text())
    stop = threading.Event()
    threads = []
    for row in config["subscriptions"]:
        pusher = Pusher(config["project"], PushSubscription(**row))
        threads.append(threading.Thread(target=pusher.run, args=(stop,), daemon=True))
    for row in config["schedules"]:
        arguments = (row["url"], row["seconds"], stop)
        threads.append(threading.Thread(target=call_regularly, args=arguments, daemon=True))
    for thread in threads:
        thread.start()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    sys.stderr.flush()
    # Without waiting for answers: what is not acknowledged comes again.
    os._exit(0)


if __name__ == "__main__":
    main()
