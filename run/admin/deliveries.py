"""What calls functions by itself: push subscriptions of Pub/Sub, and the jobs of Cloud Scheduler.

https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs
"""

from collections.abc import Mapping
from typing import Any

import requests

from run.admin.google_apis import GOOGLE, GoogleApis
from run.admin.identity import google_session
from shared.config import Settings
from shared.messages import PUSHED_TOPICS

# Functions that Cloud Scheduler calls; terraform/schedules.tf has the same.
SCHEDULED = ("compact", "sweep")
_PUB_SUB, _SCHEDULER = "pubsub", "cloudscheduler"
# Rows of a page, the most of both APIs that is sure.
_PAGE = 500


def operator_apis(settings: Settings) -> GoogleApis:
    """Return the APIs of Google, with the operator's own credentials, or a local server that stands for them.

    Raise GoogleAuthError without credentials.
    """
    if settings.push_emulator_host:
        return GoogleApis(requests.Session(), f"http://{settings.push_emulator_host}")
    return GoogleApis(google_session(), GOOGLE)


class Deliveries:
    """The push subscriptions and schedules of a deployment. All methods raise OperationFailed."""

    def __init__(self, settings: Settings) -> None:
        """Raise GoogleAuthError without credentials."""
        self._apis = operator_apis(settings)
        self._subscriptions = f"v1/projects/{settings.project}/subscriptions"
        self._jobs = f"v1/projects/{settings.project}/locations/{settings.workflows_location}/jobs"
        self._topics = {
            f"projects/{settings.project}/topics/{settings.pubsub_prefix}{topic}" for topic in PUSHED_TOPICS
        }
        # Workflows and schedules have the prefix of the deployment.
        self._scheduled = {f"{settings.workflows_prefix}{name}" for name in SCHEDULED}

    def pushes(self) -> dict[str, Mapping[str, Any]]:
        """Return the push settings of all subscriptions to topics of the system; empty for a paused one."""
        return {
            _last(row["name"]): row.get("pushConfig") or {}
            for row in self._apis.rows(_PUB_SUB, self._subscriptions, "subscriptions", page=_PAGE)
            if row["topic"] in self._topics
        }

    def set_push(self, subscription: str, push: Mapping[str, Any]) -> None:
        """Give a subscription push settings. Without any it keeps its messages, and pushes none."""
        path = f"{self._subscriptions}/{subscription}:modifyPushConfig"
        self._apis.require(_PUB_SUB, path, {"pushConfig": dict(push)})

    def schedules(self) -> dict[str, bool]:
        """Return the schedules of the system, and whether each is on."""
        return {
            _last(row["name"]): row["state"] == "ENABLED"
            for row in self._apis.rows(_SCHEDULER, self._jobs, "jobs", page=_PAGE)
            if _last(row["name"]) in self._scheduled
        }

    def set_schedule(self, name: str, *, on: bool) -> None:
        """Pause or resume a schedule."""
        self._apis.require(_SCHEDULER, f"{self._jobs}/{name}:{'resume' if on else 'pause'}", {})


def _last(name: str) -> str:
    return name.rpartition("/")[2]
