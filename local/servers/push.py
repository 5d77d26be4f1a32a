"""Pub/Sub's push side, for one machine: `python -m local.servers.push CONFIG`.

The emulator can push too, but ignores filters, retry policies and dead-letter policies, and sends no delivery
attempt.
So this process pulls the emulator's messages and pushes them to the functions as Pub/Sub does: an answer of
2xx acknowledges, any other is retried after a delay that doubles. It also calls functions at intervals, as
Cloud Scheduler does. Both can be paused (local/servers/push_control.py).
"""

import base64
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from google.api_core import exceptions
from google.cloud.pubsub import SubscriberClient
from requests.adapters import HTTPAdapter

from local.servers.push_control import Control
from shared.batching import Batcher

# Concurrent pushes of one subscription. Pub/Sub begins with few, and adds more while the function keeps up;
# a function here has this many threads in all its processes.
_AT_ONCE = 32
# Pub/Sub: an acknowledgement deadline is 600 seconds at most.
_LONGEST_DELAY = 600
# Seconds between two looks at whether a paused subscription goes on, or all ends.
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class PushSubscription:
    """Where to push the messages of a topic, and how to retry failures; times in seconds."""

    name: str
    topic: str
    endpoint: str
    ack_deadline_seconds: int
    minimum_backoff_seconds: float
    maximum_backoff_seconds: float
    # Messages about other objects are acknowledged, and not pushed: the filter, which the emulator ignores.
    object_prefixes: Sequence[str] = ()

    def wants(self, attributes: Mapping[str, str]) -> bool:
        """Return whether a message with these attributes is pushed."""
        prefixes = tuple(self.object_prefixes)
        return not prefixes or attributes.get("objectId", "").startswith(prefixes)

    def delay(self, attempt: int) -> float:
        """Return the delay after a failed attempt; the first is 1."""
        doubled: float = self.minimum_backoff_seconds * 2 ** min(attempt - 1, 30)
        return min(doubled, self.maximum_backoff_seconds)


class Pusher:
    """Pull the messages of one subscription, and push them."""

    def __init__(self, project: str, subscription: PushSubscription) -> None:
        self._subscription = subscription
        self._client = SubscriberClient()
        self._path = self._client.subscription_path(project, subscription.name)
        self._attempts: dict[str, int] = {}
        self.on = threading.Event()
        self.on.set()
        self._free = threading.Semaphore(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=subscription.name)
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_AT_ONCE))
        # The functions are on this machine: no look for proxies at each push.
        self._session.trust_env = False
        self._acknowledge = Batcher(self._acknowledge_all, most=_AT_ONCE)

    def run(self, stop: threading.Event) -> None:
        """Push until `stop` is set, while `on` is."""
        while not stop.is_set():
            if not self.on.wait(_LOOK_SECONDS):
                continue
            self._free.acquire()
            more = 1
            while more < _AT_ONCE and self._free.acquire(blocking=False):
                more += 1
            received = self._pull(more)
            if received and not self.on.is_set():
                self._delay([message.ack_id for message in received], 0)
                received = []
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
        """Make the emulator redeliver messages only after `seconds`."""
        try:
            self._client.modify_ack_deadline(
                subscription=self._path, ack_ids=ack_ids, ack_deadline_seconds=seconds
            )
        except exceptions.GoogleAPICallError as error:
            # They come again earlier, which does no harm.
            print(f"delay for {self._subscription.name}: {error}", file=sys.stderr)

    def _deliver(self, received: Any) -> None:
        try:
            message_id = received.message.message_id
            attempt = self._attempts[message_id] = self._attempts.get(message_id, 0) + 1
            if not self._subscription.wants(received.message.attributes) or self._push(received.message):
                self._acknowledge(received.ack_id)
                self._attempts.pop(message_id, None)
            else:
                delay = min(_LONGEST_DELAY, max(1, round(self._subscription.delay(attempt))))
                self._delay([received.ack_id], delay)
        except exceptions.GoogleAPICallError as error:
            # The emulator redelivers it later.
            print(f"answer for {self._subscription.name}: {error}", file=sys.stderr)
        finally:
            self._free.release()

    def _acknowledge_all(self, ack_ids: Sequence[str]) -> Sequence[None]:
        self._client.acknowledge(subscription=self._path, ack_ids=ack_ids)
        return [None] * len(ack_ids)

    def _push(self, message: Any) -> bool:
        body = {
            "message": {
                "attributes": dict(message.attributes),
                "data": base64.b64encode(message.data).decode(),
                "messageId": message.message_id,
                "publishTime": message.publish_time.isoformat(),
            },
            "subscription": self._path,
        }
        try:
            deadline = self._subscription.ack_deadline_seconds
            return self._session.post(self._subscription.endpoint, json=body, timeout=deadline).ok
        except requests.RequestException as error:
            print(f"push to {self._subscription.endpoint}: {error}", file=sys.stderr)
            return False


def call_regularly(url: str, seconds: float, stop: threading.Event, on: threading.Event) -> None:
    """Call a function every `seconds`, as Cloud Scheduler does, until `stop` is set, while `on` is."""
    while not stop.wait(seconds):
        if not on.is_set():
            continue
        try:
            requests.post(url, json={}, timeout=600)
        except requests.RequestException as error:
            print(f"call of {url}: {error}", file=sys.stderr)


def main() -> None:
    """Run the subscriptions and schedules of the JSON file that is the argument, until SIGTERM."""
    config = json.loads(Path(sys.argv[1]).read_text())
    stop = threading.Event()
    threads = []
    control = Control(config["project"], config.get("settings"))
    for row in config["subscriptions"]:
        pusher = Pusher(config["project"], PushSubscription(**row))
        control.add_subscription(row["name"], row["topic"], row["endpoint"], pusher.on)
        threads.append(threading.Thread(target=pusher.run, args=(stop,), daemon=True))
    for row in config["schedules"]:
        on = control.add_schedule(row.get("name", row["url"]))
        arguments = (row["url"], row["seconds"], stop, on)
        threads.append(threading.Thread(target=call_regularly, args=arguments, daemon=True))
    if port := config.get("control"):
        threads.append(threading.Thread(target=control.serve, args=(port,), daemon=True))
    for thread in threads:
        thread.start()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    sys.stderr.flush()
    # At once: messages that are not acknowledged come again.
    os._exit(0)


if __name__ == "__main__":
    main()
