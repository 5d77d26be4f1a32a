"""`s3_events`: publish events of S3 buckets, which arrive through SNS, as object events on Pub/Sub.

Anybody can reach this function, so it accepts only messages that SNS has signed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

import functions_framework
import structlog
from flask import Request

from functions.push import Answer
from functions.runtime import system, traced
from functions.sns import SigningKeys, get, is_sns_url, verify
from shared.errors import DssError, Forbidden, IllegalArguments
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.system import Dss

_log = structlog.get_logger()
_keys = SigningKeys()


@functions_framework.http
def s3_events(request: Request) -> Answer:
    """Handle a message of SNS: confirm the subscription, or publish its events to `object-events`.

    Answers 2xx only when Pub/Sub has the events. SNS retries after other answers, but not after 4xx.
    """
    dss = system()
    with traced(dss, request, "s3-events"):
        return handle(dss, request, _keys)


def handle(dss: Dss, request: Request, keys: SigningKeys) -> Answer:
    """Handle a message of SNS with these dependencies."""
    try:
        message = _message(request)
        if message.get("TopicArn") not in dss.settings.sns_topics:
            raise Forbidden(f"TopicArn: {str(message.get('TopicArn'))[:200]!r} is not a topic of this system")
        if dss.settings.sns_signatures:
            verify(message, keys)
        return _TYPES[message["Type"]](dss, message)
    except IllegalArguments as error:
        return error.title, 400
    except Forbidden as error:
        _log.warning("refused", reason=error.title)
        return error.title, 403
    except DssError as error:
        return error.title, 503


def _message(request: Request) -> dict[str, Any]:
    # SNS sends JSON as text/plain.
    try:
        message = json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        raise IllegalArguments("this is not a message of SNS: not JSON") from error
    if not isinstance(message, dict) or str(message.get("Type")) not in _TYPES:
        raise IllegalArguments(f"this is not a message of SNS: its Type is none of {', '.join(_TYPES)}")
    return message


def _confirm(dss: Dss, message: dict[str, Any]) -> Answer:
    url = str(message.get("SubscribeURL", ""))
    if dss.settings.sns_signatures and not is_sns_url(url, message["TopicArn"]):
        raise Forbidden(f"SubscribeURL: {url[:200]!r} is not a URL of SNS")
    get(url)
    _log.info("subscription confirmed", topic=message["TopicArn"])
    return "confirmed", 200


def _unsubscribed(_: Dss, message: dict[str, Any]) -> Answer:
    _log.error("unsubscribed: no more events of S3 will arrive", topic=message["TopicArn"])
    return "noted", 200


def _publish_events(dss: Dss, message: dict[str, Any]) -> Answer:
    count = 0
    # All are parsed before the first is published.
    for event in list(_events(dss, str(message.get("Message", "")))):
        dss.publisher.publish(OBJECT_EVENTS, event.attributes)
        count += 1
    return str(count), 200


def _events(dss: Dss, text: str) -> Iterator[ObjectEvent]:
    """Yield the creations in buckets of this system. The test event, sent at set-up, has no records."""
    try:
        records = json.loads(text).get("Records", [])
        for record in records:
            bucket = record["s3"]["bucket"]["name"]
            replica = dss.replicas.of_bucket(bucket)
            if replica and record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
                yield ObjectEvent(
                    replica=replica.name,
                    bucket=bucket,
                    # S3 encodes keys as in the query of a URL.
                    key=unquote_plus(record["s3"]["object"]["key"]),
                    # The stores use the ETag as an object's revision.
                    generation=str(record["s3"]["object"].get("eTag", "")),
                )
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise IllegalArguments("Message: this is not an event of S3") from error


# By the type of a message.
_TYPES: Mapping[str, Callable[[Dss, dict[str, Any]], Answer]] = {
    "Notification": _publish_events,
    "SubscriptionConfirmation": _confirm,
    "UnsubscribeConfirmation": _unsubscribed,
}
