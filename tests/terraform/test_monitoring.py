"""Alerts exist for silent failures: dead letters, a replica that lags, pushes that fail."""

import re
from dataclasses import fields
from typing import Any

from functions.sweep import BACKLOGS, CATALOGUE_BACKLOG
from shared.config import Settings
from shared.maintenance.catalogue_backlog import CatalogueBacklog
from shared.maintenance.sweep import Backlog
from shared.messages import BUNDLE_CHANGES, DEAD_LETTERS, DELIVERY_RETRIES
from tests.support.terraform_cli import ROOT, Deployment

# What the sweep logs, and the form of the line.
LOGGED = {**{message: Backlog for message, _ in BACKLOGS}, CATALOGUE_BACKLOG: CatalogueBacklog}


def alert(deployment: Deployment, name: str) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = deployment.by_key("google_monitoring_alert_policy.dss")[name][
        "conditions"
    ]
    return conditions


def threshold(condition: dict[str, Any]) -> dict[str, Any]:
    [found] = condition["condition_threshold"]
    assert found["comparison"] == "COMPARISON_GT"
    return dict(found)


def test_the_backlogs_are_measured_by_what_the_sweep_logs(deployment: Deployment) -> None:
    metrics = deployment.by_key("google_logging_metric.backlog")
    service = deployment.functions["sweep"].values["name"]

    backlogs = {"replication", "events", "journals"}
    if "explore" in deployment.functions:
        backlogs |= {"catalogues"}
    numbers = ("oldest_seconds", "objects")
    assert set(metrics) == {f"{backlog}_{field}" for backlog in backlogs for field in numbers}
    messages = set()
    for name, row in metrics.items():
        [message] = re.findall(r'jsonPayload\.message="([^"]+)"', row["filter"])
        messages.add(message)
        _, _, field = name.partition("_")
        assert {field, "replica"} <= {one.name for one in fields(LOGGED[message])}
        assert row["name"] == f"dss/{name}"
        assert f'resource.labels.service_name="{service}"' in row["filter"]
        assert row["value_extractor"] == f"EXTRACT(jsonPayload.{field})"
        assert row["label_extractors"] == {"replica": "EXTRACT(jsonPayload.replica)"}
        [descriptor] = row["metric_descriptor"]
        assert (descriptor["metric_kind"], descriptor["value_type"]) == ("DELTA", "DISTRIBUTION")
        assert [label["key"] for label in descriptor["labels"]] == ["replica"]
    assert len(messages) == len(backlogs)


def test_the_first_dead_letter_is_an_alert(deployment: Deployment) -> None:
    [condition] = alert(deployment, "dead_letters")
    found = threshold(condition)

    assert "subscription/num_undelivered_messages" in found["filter"]
    assert f'resource.labels.subscription_id="{DEAD_LETTERS}"' in found["filter"]
    assert (found["threshold_value"], found["duration"]) == (0, "0s")


def test_a_replica_that_lags_is_an_alert_and_so_is_a_sweep_that_does_not_run(
    deployments: dict[str, Deployment],
) -> None:
    for deployment, seconds in ((deployments["least"], 3600), (deployments["most"], 900)):
        lags, silent = alert(deployment, "replication_age")
        metric = deployment.by_key("google_logging_metric.backlog")["replication_oldest_seconds"]["name"]

        assert f'metric.type="logging.googleapis.com/user/{metric}"' in threshold(lags)["filter"]
        assert threshold(lags)["threshold_value"] == seconds
        [absent] = silent["condition_absent"]
        assert (absent["filter"], absent["duration"]) == (threshold(lags)["filter"], "1800s")


def test_unpublished_events_and_missing_journals_are_alerts(
    deployments: dict[str, Deployment],
) -> None:
    due = Settings.__dataclass_fields__["journal_seconds"].default
    for deployment, seconds in ((deployments["least"], 3600), (deployments["most"], 1200)):
        for name, backlog in (("event_age", "events"), ("journal_age", "journals")):
            found = threshold(alert(deployment, name)[0])
            assert f'"logging.googleapis.com/user/dss/{backlog}_oldest_seconds"' in found["filter"]
            # Of all that a sweep has measured, the oldest.
            assert [one["per_series_aligner"] for one in found["aggregations"]] == ["ALIGN_PERCENTILE_99"]
        assert threshold(alert(deployment, "event_age")[0])["threshold_value"] == seconds
        assert threshold(alert(deployment, "journal_age")[0])["threshold_value"] > due


def test_a_catalogue_that_lags_is_an_alert(deployments: dict[str, Deployment]) -> None:
    most, names = deployments["most"], ("catalogue_age", "changes_stay")
    lags, silent = alert(most, names[0])
    [stays] = alert(most, names[1])
    alerts = deployments["least"].by_key("google_monitoring_alert_policy.dss")

    assert '"logging.googleapis.com/user/dss/catalogues_oldest_seconds"' in threshold(lags)["filter"]
    assert silent["condition_absent"][0]["duration"] == "1800s"
    assert "subscription/oldest_unacked_message_age" in threshold(stays)["filter"]
    assert f'subscription_id="{BUNDLE_CHANGES}"' in threshold(stays)["filter"]
    assert {threshold(one)["threshold_value"] for one in (lags, stays)} == {1200}
    assert not set(names) & set(alerts)


def test_pushes_that_mostly_fail_are_an_alert(deployment: Deployment) -> None:
    [condition] = alert(deployment, "pushes_fail")
    found = threshold(condition)

    assert "subscription/push_request_count" in found["filter"]
    assert found["filter"] == f'{found["denominator_filter"]} AND metric.labels.response_class!="ack"'
    assert 0 < found["threshold_value"] < 1
    assert found["aggregations"] == found["denominator_aggregations"]


def test_pushes_to_subscribers_that_fail_are_no_alert_but_those_that_stay_are(
    deployment: Deployment,
) -> None:
    [fails], [stays] = alert(deployment, "pushes_fail"), alert(deployment, "deliveries_stay")
    found = threshold(stays)

    [watched] = re.findall(r"subscription_id=one_of\((.*?)\)", threshold(fails)["filter"])
    pushed = set(deployment.by_key("google_pubsub_subscription.push"))
    assert set(watched.replace('"', "").split(",")) == pushed - {DELIVERY_RETRIES}
    assert "subscription/oldest_unacked_message_age" in found["filter"]
    assert f'subscription_id="{DELIVERY_RETRIES}"' in found["filter"]
    subscription = deployment.by_key("google_pubsub_subscription.push")[DELIVERY_RETRIES]
    kept = int(subscription["message_retention_duration"].removesuffix("s"))
    assert 7 * 24 * 3600 < found["threshold_value"] < kept - 24 * 3600


def test_an_api_that_is_down_slow_or_failing_is_an_alert(deployment: Deployment) -> None:
    name = deployment.one("google_cloud_run_v2_service.api")["name"]
    [down], [errors], [slow] = (alert(deployment, key) for key in ("api_down", "api_errors", "api_slow"))

    [by_place] = threshold(down)["aggregations"]
    assert "uptime_check/check_passed" in threshold(down)["filter"]
    assert (by_place["cross_series_reducer"], threshold(down)["threshold_value"]) == ("REDUCE_COUNT_FALSE", 1)
    assert threshold(errors)["filter"] == (
        f'{threshold(errors)["denominator_filter"]} AND metric.labels.response_code_class="5xx"'
    )
    assert 0 < threshold(errors)["threshold_value"] <= 0.05
    # Clients give up after 40 s.
    assert threshold(slow)["threshold_value"] < 40_000
    for condition in (errors, slow):
        assert f'resource.labels.service_name="{name}"' in threshold(condition)["filter"]


def test_workflows_and_schedules_that_fail_are_alerts(deployment: Deployment) -> None:
    [workflows], [schedules] = (alert(deployment, key) for key in ("workflows_fail", "schedules_fail"))

    assert 'metric.labels.status="FAILED"' in threshold(workflows)["filter"]
    assert 'resource.type="cloud_scheduler_job"' in threshold(schedules)["filter"]


def test_a_service_at_its_largest_number_of_instances_is_an_alert(
    deployments: dict[str, Deployment],
) -> None:
    for deployment in deployments.values():
        services = {
            row.values["name"]: row.max_instances for row in (deployment.api, *deployment.functions.values())
        }
        alerts = deployment.by_key("google_monitoring_alert_policy.dss")

        watched = {key.removeprefix("instances_") for key in alerts if key.startswith("instances_")}
        assert watched == {service for service, largest in services.items() if largest > 1}
        for service in watched:
            [condition] = alert(deployment, f"instances_{service}")
            assert f'service_name="{service}"' in threshold(condition)["filter"]
            assert services[service] - 1 < threshold(condition)["threshold_value"] < services[service]


def test_the_guide_has_a_row_for_each_alert(deployment: Deployment) -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()

    for row in deployment.by_key("google_monitoring_alert_policy.dss").values():
        assert f"\n| {_title(row)} |" in guide


def _title(alert: dict[str, Any]) -> str:
    return re.sub("^dss-[a-z0-9-]+ has", "… has", alert["display_name"].removeprefix("DSS: "))


def test_the_page_of_metrics_has_each_once_with_the_alerts_that_read_it(
    deployments: dict[str, Deployment],
) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(.*?)` \| (.*?) \| .*? \| (.*?) ?\|$", page, re.MULTILINE)
    documented = {name: set(filter(None, alerts.split("; "))) for name, _, alerts in rows}
    most = deployments["most"]
    ours = {row["name"]: row for row in most.by_key("google_logging_metric.backlog").values()}
    read: dict[str, set[str]] = {name: set() for name in ours}
    for row in most.by_key("google_monitoring_alert_policy.dss").values():
        for found in re.findall(r'metric\.type="(.*?)"', str(row["conditions"])):
            read.setdefault(found.removeprefix("logging.googleapis.com/user/"), set()).add(_title(row))

    assert len(documented) == len(rows)
    assert documented == read
    units = {name: row["metric_descriptor"][0]["unit"] for name, row in ours.items()}
    assert {name: unit for name, unit, _ in rows if name in ours} == units


def test_alerts_say_what_to_do_and_reach_the_operators(deployments: dict[str, Deployment]) -> None:
    channels = deployments["most"].by_key("google_monitoring_notification_channel.email")
    assert {row["labels"]["email_address"] for row in channels.values()} == {"operators@example.org"}

    for row in deployments["most"].by_key("google_monitoring_alert_policy.dss").values():
        assert row["notification_channels"] == [channel["name"] for channel in channels.values()]
        assert row["documentation"][0]["content"]
    assert not deployments["least"].of_type("google_monitoring_notification_channel")
