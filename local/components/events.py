"""Events: functions, topics, subscriptions, notifications."""

import json
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import functions
from local import probes
from local.components.base import Builder, Component, Exported
from local.config import LOOPBACK_NETWORKS, PROJECT, StackConfig
from local.supervisor.ports import HOST
from shared.config import Settings
from shared.identifiers import Kind
from shared.messages import DEAD_LETTERS, OBJECT_EVENTS

_FUNCTIONS = Path(functions.__path__[0])
# In the data directory: what the push side pushes where.
PUSH_FILE = "push.json"
_SNS_TOPIC = "dss-object-events"
# moto's only account.
_SNS_ARN = f"arn:aws:sns:us-east-1:123456789012:{_SNS_TOPIC}"
# Seconds after which the emulator redelivers a message that it gave to a pull that had just timed out. The
# pusher extends this for messages at work (`local.servers.push`). Pub/Sub: 10 at least.
_PULL_DEADLINE_SECONDS = 10
# Functions on a schedule, and the seconds between two calls: five minutes in the clouds.
_SCHEDULES = {"compact": 60, "sweep": 60}
# What the API is given: its settings, and what makes some of them allowed.
_SETTINGS = {row.metadata["name"] for row in fields(Settings)} | {
    "AWS_ENDPOINT_URL",
    "FIRESTORE_EMULATOR_HOST",
}


def subscriptions() -> list[dict[str, Any]]:
    """Return the push subscriptions of the system; terraform reads the same file."""
    rows: list[dict[str, Any]] = json.loads((_FUNCTIONS / "subscriptions.json").read_text())
    return rows


def topics(config: StackConfig, _: Exported) -> Component:
    """Topics and subscriptions, made before the first message."""
    return Component(
        name="topics",
        command=(),
        ready=partial(probes.answers_ok, config.url("pubsub")),
        needs=("pubsub",),
        set_up=partial(_create_topics, config.url("pubsub"), config.patience),
        exports={"DSS_SNS_TOPICS": _SNS_ARN, "DSS_SNS_SIGNATURES": "false"},
    )


def functions_of(
    *names: str, processes: Mapping[str, int], threads: Mapping[str, int] | None = None
) -> Builder:
    """Return the builder of the component that serves functions, under functions-framework as in the cloud.

    `processes` is the number of processes of a function, if it is not one, and `threads` that of the threads
    of each, if it is not 16. In the clouds instances come and go.
    """

    def functions(config: StackConfig, exported: Exported) -> Component:
        served = [
            f"{name}={config.ports.of(name)}*{processes.get(name, 1)}*{(threads or {}).get(name, 0)}"
            for name in names
        ]
        return Component(
            name="functions",
            command=(
                *(sys.executable, "-m", "local.servers.functions", "--logs", str(config.data / "logs")),
                *served,
            ),
            ready=partial(_all_answer, [config.url(name) for name in names]),
            environment={
                "DSS_PUBLIC_URL": exported["DSS_URL"],
                "DSS_CALLBACK_NETWORKS": LOOPBACK_NETWORKS,
                **config.passed_on(),
                **exported,
            },
        )

    return functions


def _all_answer(urls: list[str]) -> None:
    for url in urls:
        probes.answers(url)


def pushing(config: StackConfig, exported: Exported) -> Component:
    """Pub/Sub's push side and Cloud Scheduler."""
    file = config.data / PUSH_FILE
    rows = [
        {
            "name": row["name"],
            "topic": row["topic"],
            "endpoint": config.url(row["function"]),
            "ack_deadline_seconds": row["ack_deadline_seconds"],
            "minimum_backoff_seconds": row["minimum_backoff_seconds"],
            "maximum_backoff_seconds": row["maximum_backoff_seconds"],
            "object_prefixes": row.get("object_prefixes", []),
        }
        for row in subscriptions()
    ]
    schedules = [
        {"name": name, "url": config.url(name), "seconds": seconds} for name, seconds in _SCHEDULES.items()
    ]
    control = config.ports.of("push control")
    content = {
        "project": PROJECT,
        "subscriptions": rows,
        "schedules": schedules,
        "control": control,
        "settings": {name: exported[name] for name in sorted(_SETTINGS & exported.keys())},
    }
    file.write_text(json.dumps(content))
    return Component(
        name="push",
        command=(sys.executable, "-m", "local.servers.push", str(file)),
        ready=partial(probes.listens, HOST, control),
        needs=("topics",),
        environment=exported,
        exports={"DSS_PUSH_EMULATOR_HOST": f"{HOST}:{control}"},
    )


def gcs_notifications(config: StackConfig, exported: Exported) -> Component:
    """Object events of GCS, by the real path: the bucket's notification configurations."""
    url = config.foreign_gcs or config.url("gcs")
    return Component(
        name="gcs notifications",
        command=(),
        ready=partial(probes.answers, url),
        needs=("gcs", "topics"),
        # Another GCS server may have no notifications, and is used without.
        set_up=(lambda: None)
        if config.foreign_gcs
        else partial(_notify_gcs, url, exported["DSS_GS_BUCKET"], config.patience),
    )


def s3_notifications(config: StackConfig, exported: Exported) -> Component:
    """Object events of S3, by the real path: through SNS to the function `s3_events`."""
    return Component(
        name="s3 notifications",
        command=(),
        ready=partial(probes.answers_ok, f"{config.url('s3')}/moto-api/"),
        needs=("s3", "functions", "topics"),
        set_up=partial(
            _notify_s3, config.url("s3"), exported["DSS_S3_BUCKET"], config.url("s3_events"), config.patience
        ),
    )


def _create_topics(url: str, seconds: float) -> None:
    base = f"{url}/v1/projects/{PROJECT}"
    rows = subscriptions()
    for topic in (*dict.fromkeys(row["topic"] for row in rows), DEAD_LETTERS):
        _put(f"{base}/topics/{topic}", {}, seconds)
    for row in rows:
        body = {
            "topic": f"projects/{PROJECT}/topics/{row['topic']}",
            "ackDeadlineSeconds": _PULL_DEADLINE_SECONDS,
        }
        _put(f"{base}/subscriptions/{row['name']}", body, seconds)
    # Where operators read dead letters.
    body = {"topic": f"projects/{PROJECT}/topics/{DEAD_LETTERS}"}
    _put(f"{base}/subscriptions/{DEAD_LETTERS}", body, seconds)


def _put(url: str, body: dict[str, Any], seconds: float) -> None:
    status, answer = probes.ask(
        url, method="PUT", body=json.dumps(body).encode(), content_type="application/json", seconds=seconds
    )
    if status not in (200, 409):
        raise probes.NotReady(f"{url}: {status} {answer[:300]!r}")


def _notify_gcs(url: str, bucket: str, seconds: float) -> None:
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
            seconds=seconds,
        )
        if status != 200:
            raise probes.NotReady(f"notifications of {bucket}: {status} {answer[:300]!r}")


def _notify_s3(url: str, bucket: str, endpoint: str, seconds: float) -> None:
    _sns(url, seconds, Action="CreateTopic", Name=_SNS_TOPIC)
    _sns(url, seconds, Action="Subscribe", TopicArn=_SNS_ARN, Protocol="http", Endpoint=endpoint)
    rules = "".join(
        f"<TopicConfiguration><Id>{kind}</Id><Topic>{_SNS_ARN}</Topic><Event>s3:ObjectCreated:*</Event>"
        f"<Filter><S3Key><FilterRule><Name>prefix</Name><Value>{kind}/</Value></FilterRule></S3Key></Filter>"
        "</TopicConfiguration>"
        for kind in Kind
    )
    body = f"<NotificationConfiguration>{rules}</NotificationConfiguration>".encode()
    # moto sends a test event first, and then answers.
    status, answer = probes.ask(f"{url}/{bucket}?notification", method="PUT", body=body, seconds=seconds)
    if status != 200:
        raise probes.NotReady(f"notifications of {bucket}: {status} {answer[:300]!r}")


def _sns(url: str, seconds: float, **parameters: str) -> None:
    body = urlencode({**parameters, "Version": "2010-03-31"}).encode()
    # moto routes by the scope of the credential.
    status, answer = probes.ask(
        url,
        method="POST",
        body=body,
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sns/aws4_request"},
        seconds=seconds,
    )
    if status != 200:
        raise probes.NotReady(f"SNS {parameters['Action']}: {status} {answer[:300]!r}")
