"""What pauses the pushes and schedules of one machine, by the REST APIs of Pub/Sub and Cloud Scheduler.

It knows what `dss admin stop` and `start` use of them: a subscription whose push settings are emptied is not
pushed, and keeps its messages, and a schedule that is paused calls nothing. For `dss admin settings` it lists
the API as Cloud Run does.
https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions/modifyPushConfig
https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs
https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services
"""

import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.supervisor.ports import HOST

_SUBSCRIPTIONS = re.compile(r"/v1/projects/[^/]+/subscriptions")
_JOBS = re.compile(r"/v1/projects/[^/]+/locations/([^/]+)/jobs")
_SERVICES = re.compile(r"/v2/projects/[^/]+/locations/([^/]+)/services")
_CHANGE = re.compile(r"/v1/projects/[^/]+/(?:locations/[^/]+/jobs|subscriptions)/([^/:]+):(\w+)")
# The default of DSS_WORKFLOWS_PREFIX, with which terraform names schedules, too.
_PREFIX = "dss-"


class Control:
    """The subscriptions and schedules of a project, and whether each is on."""

    def __init__(self, project: str, settings: Mapping[str, str] | None = None) -> None:
        self._project = project
        self._settings = settings or {}
        self._topics: dict[str, str] = {}
        self._pushes: dict[str, dict[str, Any]] = {}
        self._on: dict[str, threading.Event] = {}
        self._schedules: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def add_subscription(self, name: str, topic: str, endpoint: str, on: threading.Event) -> None:
        """Add a subscription that is pushed while `on` is set."""
        self._topics[name], self._on[name] = topic, on
        self._pushes[name] = {"pushEndpoint": endpoint}

    def add_schedule(self, name: str) -> threading.Event:
        """Add a schedule; return what is set while it is on."""
        on = self._schedules[f"{_PREFIX}{name}"] = threading.Event()
        on.set()
        return on

    def serve(self, port: int) -> None:
        """Serve the two APIs for ever."""
        control = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two packets: the second would wait for the client to acknowledge the first.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._answer(control.read(self.path.partition("?")[0]))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                self._answer(control.change(self.path, body))

            def _answer(self, body: dict[str, Any] | None) -> None:
                content = json.dumps({"error": {"message": "not found"}} if body is None else body).encode()
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        ThreadingHTTPServer((HOST, port), Handler).serve_forever()

    def read(self, path: str) -> dict[str, Any] | None:
        """Return all subscriptions, or all schedules; None for any other path."""
        with self._lock:
            if _SUBSCRIPTIONS.fullmatch(path):
                of_project = f"projects/{self._project}"
                rows = [
                    {
                        "name": f"{of_project}/subscriptions/{name}",
                        "topic": f"{of_project}/topics/{topic}",
                        "pushConfig": self._pushes[name],
                    }
                    for name, topic in self._topics.items()
                ]
                return {"subscriptions": rows}
            if found := _JOBS.fullmatch(path):
                parent = f"projects/{self._project}/locations/{found[1]}/jobs"
                states = {
                    name: "ENABLED" if on.is_set() else "PAUSED" for name, on in self._schedules.items()
                }
                return {
                    "jobs": [{"name": f"{parent}/{name}", "state": state} for name, state in states.items()]
                }
            if found := _SERVICES.fullmatch(path):
                env = [{"name": name, "value": value} for name, value in self._settings.items()]
                name = f"projects/{self._project}/locations/{found[1]}/services/{_PREFIX}api"
                api = {"name": name, "labels": {"system": "dss"}, "template": {"containers": [{"env": env}]}}
                return {"services": [api]}
            return None

    def change(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Change a subscription or a schedule; None if there is none, or no such change."""
        found = _CHANGE.fullmatch(path)
        name, verb = found.groups() if found else ("", "")
        with self._lock:
            if verb == "modifyPushConfig" and name in self._topics:
                self._pushes[name] = body["pushConfig"]
                _set(self._on[name], on=bool(body["pushConfig"].get("pushEndpoint")))
                return {}
            if verb in ("pause", "resume") and name in self._schedules:
                _set(self._schedules[name], on=verb == "resume")
                return {}
            return None


def _set(event: threading.Event, *, on: bool) -> None:
    if on:
        event.set()
    else:
        event.clear()
