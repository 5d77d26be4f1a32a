"""Events: from both clouds' buckets to one topic, from there to the functions, or to the dead letters."""

import json

import pytest

from shared.config import Settings
from shared.identifiers import Kind
from shared.kinds import KINDS
from shared.messages import (
    BUNDLE_CHANGES,
    BUNDLE_EVENTS,
    DEAD_LETTERS,
    DELIVERIES,
    DELIVERY_RETRIES,
    FINALIZED,
    OBJECT_EVENTS,
    REPLAYS,
)
from tests.support.terraform_cli import SUBSCRIPTIONS, Deployment, Json

ROWS = {row["name"]: row for row in json.loads(SUBSCRIPTIONS.read_text())}
PREFIXES = {f"{kind}/" for kind in Kind}


def rows_of(deployment: Deployment) -> dict[str, Json]:
    """Return what is pushed: without catalogues, nothing to the function that fills them."""
    return {name: row for name, row in ROWS.items() if row["function"] in deployment.functions}


def topic_id(deployment: Deployment, name: str) -> str:
    identifier: str = deployment.by_key("google_pubsub_topic.dss")[name]["id"]
    return identifier


def test_the_topics_are_those_that_the_code_names(deployment: Deployment) -> None:
    assert {row["name"] for row in deployment.of_type("google_pubsub_topic").values()} == {
        OBJECT_EVENTS,
        BUNDLE_EVENTS,
        DELIVERIES,
        DELIVERY_RETRIES,
        REPLAYS,
        DEAD_LETTERS,
        *({BUNDLE_CHANGES} if "explore" in rows_of(deployment) else ()),
    }


def test_the_catalogues_are_told_of_events_and_changes(deployments: dict[str, Deployment]) -> None:
    missing = {name: set(ROWS) - set(rows_of(each)) for name, each in deployments.items()}

    assert missing == {"least": {"explore", BUNDLE_CHANGES}, "most": set()}
    assert {ROWS[name]["topic"] for name in missing["least"]} == {BUNDLE_EVENTS, BUNDLE_CHANGES}


def test_gcs_announces_manifests_and_nothing_else(deployment: Deployment) -> None:
    rows = deployment.by_key("google_storage_notification.main")

    assert {row["object_name_prefix"] for row in rows.values()} == PREFIXES
    for row in rows.values():
        assert row["bucket"] == deployment.outputs["gcs_buckets"]["main"]
        assert row["topic"] == topic_id(deployment, OBJECT_EVENTS)
        assert row["event_types"] == [FINALIZED]
        assert row["payload_format"] == "NONE"
        assert row["custom_attributes"] == {"replica": "gcp"}


def test_s3_announces_manifests_to_sns_and_nothing_else(deployment: Deployment) -> None:
    notification = deployment.one("module.aws.aws_s3_bucket_notification.main")
    topic = deployment.one("module.aws.aws_sns_topic.object_events")

    assert notification["bucket"] == deployment.one('module.aws.aws_s3_bucket.dss["main"]')["id"]
    assert {row["filter_prefix"] for row in notification["topic"]} == PREFIXES
    for row in notification["topic"]:
        assert (row["topic_arn"], row["events"]) == (topic["arn"], ["s3:ObjectCreated:*"])


def test_only_the_main_bucket_may_publish_to_the_sns_topic(deployment: Deployment) -> None:
    [statement] = deployment.one("module.aws.data.aws_iam_policy_document.object_events")["statement"]
    topic = deployment.one("module.aws.aws_sns_topic.object_events")
    bucket = deployment.one('module.aws.aws_s3_bucket.dss["main"]')
    account = deployment.one("module.aws.data.aws_caller_identity.this")["account_id"]

    assert (statement["actions"], statement["resources"]) == (["sns:Publish"], [topic["arn"]])
    assert statement["principals"] == [{"type": "Service", "identifiers": ["s3.amazonaws.com"]}]
    assert {row["variable"]: row["values"] for row in statement["condition"]} == {
        "aws:SourceArn": [bucket["arn"]],
        "aws:SourceAccount": [account],
    }
    assert deployment.one("module.aws.aws_sns_topic_policy.object_events")["arn"] == topic["arn"]


def test_sns_pushes_to_the_function_which_accepts_no_other_topic(deployment: Deployment) -> None:
    subscription = deployment.one("aws_sns_topic_subscription.s3_events")
    topic = deployment.one("module.aws.aws_sns_topic.object_events")
    function = deployment.functions["s3_events"]

    assert (subscription["topic_arn"], subscription["protocol"]) == (topic["arn"], "https")
    assert subscription["endpoint"] == function.values["uri"]
    # Without its envelope a message has no signature.
    assert subscription["raw_message_delivery"] is False
    assert subscription["endpoint_auto_confirms"] is True
    assert topic["signature_version"] == 2
    settings = Settings.from_environment(function.given)
    assert settings.sns_topics == (topic["arn"],)
    assert settings.sns_signatures


def test_what_sns_can_not_deliver_is_kept_as_long_as_sqs_keeps_anything(deployment: Deployment) -> None:
    queue = deployment.one("module.aws.aws_sqs_queue.undelivered")
    subscription = deployment.one("aws_sns_topic_subscription.s3_events")

    assert json.loads(subscription["redrive_policy"]) == {"deadLetterTargetArn": queue["arn"]}
    assert queue["message_retention_seconds"] == 14 * 24 * 3600
    # SNS has no right on a key of KMS.
    assert queue["sqs_managed_sse_enabled"] and not queue["kms_master_key_id"]
    assert deployment.outputs["undelivered_events_queue"] == queue["id"]


def test_only_the_sns_topic_may_send_to_the_queue(deployment: Deployment) -> None:
    [statement] = deployment.one("module.aws.data.aws_iam_policy_document.undelivered")["statement"]
    queue = deployment.one("module.aws.aws_sqs_queue.undelivered")
    topic = deployment.one("module.aws.aws_sns_topic.object_events")

    assert (statement["actions"], statement["resources"]) == (["sqs:SendMessage"], [queue["arn"]])
    assert statement["principals"] == [{"type": "Service", "identifiers": ["sns.amazonaws.com"]}]
    assert [(row["test"], row["variable"], row["values"]) for row in statement["condition"]] == [
        ("ArnEquals", "aws:SourceArn", [topic["arn"]])
    ]
    assert deployment.one("module.aws.aws_sqs_queue_policy.undelivered")["queue_url"] == queue["id"]


def test_the_subscriptions_are_those_of_the_local_stack(deployment: Deployment) -> None:
    deployed = deployment.by_key("google_pubsub_subscription.push")

    assert set(deployed) == set(rows_of(deployment))
    for name, row in deployed.items():
        wanted = ROWS[name]
        assert (row["name"], row["topic"]) == (name, topic_id(deployment, wanted["topic"]))
        assert row["ack_deadline_seconds"] == wanted["ack_deadline_seconds"]
        assert row["retry_policy"] == [
            {
                "minimum_backoff": f"{wanted['minimum_backoff_seconds']}s",
                "maximum_backoff": f"{wanted['maximum_backoff_seconds']}s",
            }
        ]


def test_the_function_that_publishes_events_of_bundles_hears_of_no_file(deployment: Deployment) -> None:
    deployed = deployment.by_key("google_pubsub_subscription.push")
    filters = {name: row["filter"] for name, row in deployed.items() if row["filter"]}

    assert filters == {"index": 'hasPrefix(attributes.objectId, "bundles/")'}
    # Of what other objects say it makes no event.
    published = {kind.kind for kind in KINDS.values() if kind.published}
    assert ROWS["index"]["object_prefixes"] == [f"{kind}/" for kind in published]


def test_pushes_carry_an_identity_that_the_function_admits(deployment: Deployment) -> None:
    functions = deployment.functions
    invokers = deployment.by_key("google_cloud_run_v2_service_iam_member.invoker")
    account = deployment.one('google_service_account.caller["pubsub"]')

    for name, row in deployment.by_key("google_pubsub_subscription.push").items():
        function = ROWS[name]["function"]
        [push] = row["push_config"]
        [token] = push["oidc_token"]
        assert push["push_endpoint"] == token["audience"] == functions[function].values["uri"]
        assert token["service_account_email"] == account["email"]
        assert invokers[function]["member"] == account["member"]


def test_pub_sub_gives_up_no_message_before_its_function_does(deployment: Deployment) -> None:
    tried_for = {name: row["give_up_after_seconds"] for name, row in ROWS.items()}
    deployed = deployment.by_key("google_pubsub_subscription.push")

    assert tried_for == {name: 604800 if name == DELIVERY_RETRIES else 86400 for name in ROWS}
    for name, row in deployed.items():
        kept = int(row["message_retention_duration"].removesuffix("s"))
        # Pub/Sub: 31 days at most. In between there is an alert.
        assert tried_for[name] + 2 * 24 * 3600 <= kept <= 31 * 24 * 3600
        # It would count pushes that no instance has room for.
        assert row["dead_letter_policy"] == []
        # Pub/Sub: 600 s at most; functions/push.py counts on both.
        assert row["retry_policy"][0]["maximum_backoff"] == "600s"
        assert row["ack_deadline_seconds"] <= 600


def test_pub_sub_may_mint_tokens_in_the_name_of_who_calls_functions(deployment: Deployment) -> None:
    agent = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    minting = deployment.one("google_service_account_iam_member.pubsub_mints_tokens")

    assert minting["member"] == agent
    assert minting["role"] == "roles/iam.serviceAccountOpenIdTokenCreator"
    assert minting["service_account_id"] == deployment.one('google_service_account.caller["pubsub"]')["name"]


def test_dead_letters_are_kept_as_long_as_pub_sub_keeps_anything(deployment: Deployment) -> None:
    kept = deployment.one("google_pubsub_subscription.dead_letters")

    assert (kept["name"], kept["topic"]) == (DEAD_LETTERS, topic_id(deployment, DEAD_LETTERS))
    assert kept["message_retention_duration"] == f"{31 * 24 * 3600}s"
    # Operators pull it: an operator who acknowledges a message has seen it.
    assert kept["push_config"] == []


@pytest.mark.parametrize("kind", ["push", "dead_letters"])
def test_no_subscription_goes_away_by_itself(kind: str, deployment: Deployment) -> None:
    rows = deployment.of_type("google_pubsub_subscription")
    chosen = [row for address, row in rows.items() if f".{kind}" in address]

    assert chosen
    for row in chosen:
        assert row["expiration_policy"] == [{"ttl": ""}]
