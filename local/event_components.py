"""The part of the stack that moves events: functions, topics, subscriptions, notifications."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import functions
from local import probes
from local.component import Builder, Component, Exported
from local.plan import PROJECT, Plan
from shared.identifiers import Kind
from shared.messages import DEAD_LETTERS, OBJECT_EVENTS

_FUNCTIONS = Path(functions.__path__[0])
_SNS_TOPIC = "dss-object-events"
# moto's only account.
_SNS_ARN = f"arn:aws:sns:us-east-1:123456789012:{_SNS_TOPIC}"
# Seconds after which a message comes again that the emulator has handed to a pull that had just given up.
# What is at work is kept for as long as its subscription says (`local.push`). Pub/Sub: 10 at least.
_PULL_DEADLINE_SECONDS = 10
# Subscribers on this machine may be called.
LOOPBACK_NETWORKS = "127.0.0.0/8,::1/128"
# What is called by the clock, and the seconds between two calls. In the clouds these are five minutes.
_SCHEDULES = {"compact": 60, "sweep": 60}


def subscriptions() -> list[dict[str, Any]]:
    """Return the push subscriptions of the system; terraform reads the same file."""
    rows: list[dict[str, Any]] = json.loads((_FUNCTIONS / "subscriptions.json").read_text())
    return rows


def topics(plan: Plan, _: Exported) -> Component:
    """Topics and subscriptions, before anybody publishes."""
    return Component(
        name="topics",
        command=(),
        ready=partial(probes.answers_ok, plan.url("pubsub")),
        needs=("pubsub",),
        set_up=partial(_create_topics, plan.url("pubsub")),
        exports={"DSS_SNS_TOPICS": _SNS_ARN, "DSS_SNS_SIGNATURES": "false"},
    )


def functions_of(*names: str, processes: Mapping[str, int]) -> Builder:
    """Return the builder of the component that serves functions, under functions-framework as in the cloud.

    `processes` are those of a function where it is not one, each of 16 threads; in the clouds instances come
    and go.
    """

    def functions(plan: Plan, exported: Exported) -> Component:
        served = [f"{name}={plan.ports.of(name)}*{processes.get(name, 1)}" for name in names]
        return Component(
            name="functions",
            command=(
                *(sys.executable, "-m", "local.functions", "--logs", str(plan.data / "logs")),
                *served,
            ),
            ready=partial(_all_answer, [plan.url(name) for name in names]),
            environment={
                "DSS_PUBLIC_URL": exported["DSS_URL"],
                "DSS_CALLBACK_NETWORKS": LOOPBACK_NETWORKS,
                **plan.passed_on(),
                **exported,
            },
        )

    return functions


def _all_answer(urls: list[str]) -> None:
    for url in urls:
        probes.answers(url)


def pushing(plan: Plan, exported: Exported) -> Component:
    """Pub/Sub's push side and Cloud Scheduler."""
    config = plan.data / "push.json"
    rows = [
        {
            "name": row["name"],
            "topic": row["topic"],
            "endpoint": plan.url(row["function"]),
            "ack_deadline_seconds": row["ack_deadline_seconds"],
            "minimum_backoff_seconds": row["minimum_backoff_seconds"],
            "maximum_backoff_seconds": row["maximum_backoff_seconds"],
        }
        for row in subscriptions()
    ]
    schedules = [{"url": plan.url(name), "seconds": seconds} for name, seconds in _SCHEDULES.items()]
    config.write_text(json.dumps({"project": PROJECT, "subscriptions": rows, "schedules": schedules}))
    return Component(
        name="push",
        command=(sys.executable, "-m", "local.push", str(config)),
        ready=partial(probes.answers_ok, plan.url("pubsub")),
        needs=("topics",),
        environment=exported,
    )


def gcs_notifications(plan: Plan, exported: Exported) -> Component:
    """GCS tells of objects, by the real path: the bucket's notification configurations."""
    url = plan.foreign_gcs or plan.url("gcs")
    return Component(
        name="gcs notifications",
        command=(),
        ready=partial(probes.answers, url),
        needs=("gcs", "topics"),
        # Another GCS server may know no notifications, and is used without them.
        set_up=(lambda: None) if plan.foreign_gcs else partial(_notify_gcs, url, exported["DSS_GS_BUCKET"]),
    )


def s3_notifications(plan: Plan, exported: Exported) -> Component:
    """S3 tells of objects, by the real path: through SNS to the function `s3_events`."""
    return Component(
        name="s3 notifications",
        command=(),
        ready=partial(probes.answers_ok, f"{plan.url('s3')}/moto-api/"),
        needs=("s3", "functions", "topics"),
        set_up=partial(_notify_s3, plan.url("s3"), exported["DSS_S3_BUCKET"], plan.url("s3_events")),
    )


def _create_topics(url: str) -> None:
    base = f"{url}/v1/projects/{PROJECT}"
    rows = subscriptions()
    for topic in (*dict.fromkeys(row["topic"] for row in rows), DEAD_LETTERS):
        _put(f"{base}/topics/{topic}", {})
    for row in rows:
        body = {
            "topic": f"projects/{PROJECT}/topics/{row['topic']}",
            "ackDeadlineSeconds": _PULL_DEADLINE_SECONDS,
        }
        _put(f"{base}/subscriptions/{row['name']}", body)
    # Where operators see what could not be done.
    _put(f"{base}/subscriptions/{DEAD_LETTERS}", {"topic": f"projects/{PROJECT}/topics/{DEAD_LETTERS}"})


def _put(url: str, body: dict[str, Any]) -> None:
    status, answer = probes.ask(
        url, method="PUT", body=json.dumps(body).encode(), content_type="application/json", seconds=10
    )
    if status not in (200, 409):
        raise probes.NotReady(f"{url}: {status} {answer[:300]!r}")


def _notify_gcs(url: str, bucket: str) -> None:
    for kind in Kind:
        body = {
            "topic": f"//pubsub.googleapis.com/projects/{PROJECT}/topics/{OBJECT_EVENTS}",
            "payload_format": "NONE",
            "event_types": ["OBJECT_FINALIZE"],
            "object_name_prefix": f"{kind}/",
            "custom_attributes": {"replica": "gcp"},
        }
        status, answer = probes.ask(
            f"{url}/storage/v1/b/{bucket}/notificationConfigs",
            method="POST",
            body=json.dumps(body).encode(),
            content_type="application/json",
        )
        if status != 200:
            raise probes.NotReady(f"notifications of {bucket}: {status} {answer[:300]!r}")


def _notify_s3(url: str, bucket: str, endpoint: str) -> None:
    _sns(url, Action="CreateTopic", Name=_SNS_TOPIC)
    _sns(url, Action="Subscribe", TopicArn=_SNS_ARN, Protocol="http", Endpoint=endpoint)
    rules = "".join(
        f"<TopicConfiguration><Id>{kind}</Id><Topic>{_SNS_ARN}</Topic><Event>s3:ObjectCreated:*</Event>"
        f"<Filter><S3Key><FilterRule><Name>prefix</Name><Value>{kind}/</Value></FilterRule></S3Key></Filter>"
        "</TopicConfiguration>"
        for kind in Kind
    )
    body = f"<NotificationConfiguration>{rules}</NotificationConfiguration>".encode()
    # moto sends a test event at once, and answers after that.
    status, answer = probes.ask(f"{url}/{bucket}?notification", method="PUT", body=body, seconds=20)
    if status != 200:
        raise probes.NotReady(f"notifications of {bucket}: {status} {answer[:300]!r}")


def _sns(url: str, **parameters: str) -> None:
    body = urlencode({**parameters, "Version": "2010-03-31"}).encode()
    # moto tells services apart by the credential's scope.
    status, answer = probes.ask(
        url,
        method="POST",
        body=body,
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sns/aws4_request"},
        seconds=20,
    )
    if status != 200:
        raise probes.NotReady(f"SNS {parameters['Action']}: {status} {answer[:300]!r}")
