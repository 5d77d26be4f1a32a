"""Publish the events of the outbox to Pub/Sub, in order by topic; they stay until it has them."""

import http.client
import sys
import threading
import time
from collections import defaultdict

from gcs_server.database import Database

# Pub/Sub takes 1,000 messages or 10 MB a request; 200 object resources are well under that.
_BATCH = 200
_PAUSE_FIRST, _PAUSE_LAST = 0.1, 2.0  # seconds
_TIMEOUT = 10  # seconds


class Publisher:
    """Publishes events as they come; retries a topic that fails without delaying the others."""

    def __init__(self, database: Database, host: str, wakeup: threading.Event) -> None:
        self._database = database
        self._host = host
        self._wakeup = wakeup
        self._pauses: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def run(self) -> None:
        """Publish for ever, and print errors to standard error."""
        while True:
            self._wakeup.clear()
            self._publish_due()
            earliest = min(self._due.values(), default=None)
            self._wakeup.wait(None if earliest is None else max(earliest - time.monotonic(), 0))

    def _publish_due(self) -> None:
        while True:
            now = time.monotonic()
            batches = self._next_batches([topic for topic, due in self._due.items() if due > now])
            if not batches:
                return
            for topic, rows in batches.items():
                self._publish_batch(topic, rows)

    def _publish_batch(self, topic: str, rows: list[tuple[int, str]]) -> None:
        try:
            _publish(self._host, topic, [message for _, message in rows])
        except (OSError, http.client.HTTPException) as error:
            pause = min(self._pauses.get(topic, _PAUSE_FIRST / 2) * 2, _PAUSE_LAST)
            self._pauses[topic], self._due[topic] = pause, time.monotonic() + pause
            print(f"events wait for {topic}: {error}", file=sys.stderr, flush=True)
            return
        self._pauses.pop(topic, None)
        self._due.pop(topic, None)
        with self._database.write() as connection:
            connection.executemany("DELETE FROM outbox WHERE id = ?", [(number,) for number, _ in rows])

    def _next_batches(self, without: list[str]) -> dict[str, list[tuple[int, str]]]:
        batches: dict[str, list[tuple[int, str]]] = defaultdict(list)
        marks = ",".join("?" * len(without))
        query = f"SELECT id, topic, message FROM outbox WHERE topic NOT IN ({marks}) ORDER BY id LIMIT ?"
        with self._database.read() as connection:
            for number, topic, message in connection.execute(query, (*without, _BATCH)).fetchall():
                batches[topic].append((number, message))
        return batches


def _publish(host: str, topic: str, messages: list[str]) -> None:
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT)
    try:
        body = '{"messages":[' + ",".join(messages) + "]}"
        connection.request("POST", f"/v1/{topic}:publish", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"{answer.status} {text[:200]!r}")
    finally:
        connection.close()
