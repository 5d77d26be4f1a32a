"""`s3_events`: events of S3 buckets, which come through SNS, become object events on Pub/Sub.

SNS signs what it sends; everybody can reach this function, so nothing else is believed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

import functions_framework
import structlog
from flask import Request

from functions.push import Answer
from functions.runtime import system
from functions.sns import SigningKeys, get, is_amazon_url, verify
from shared.errors import DssError, Forbidden, IllegalArguments
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.system import Dss

_log = structlog.get_logger()
_keys = SigningKeys()


@functions_framework.http
def s3_events(request: Request) -> Answer:
    """Take a message of SNS: confirm the subscription, or pass its events on to `object-events`.

    An answer of 2xx is given only once Pub/Sub has them; SNS tries again otherwise, but not after 4xx.
    """
    return handle(system(), request, _keys)


def handle(dss: Dss, request: Request, keys: SigningKeys) -> Answer:
    """Do what `s3_events` says, with these dependencies."""
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
    # SNS sends JSON, and calls it text.
    try:
        message = json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        raise IllegalArguments("this is no message of SNS: not JSON") from error
    if not isinstance(message, dict) or str(message.get("Type")) not in _TYPES:
        raise IllegalArguments(f"this is no message of SNS: its Type is none of {', '.join(_TYPES)}")
    return message


def _confirm(dss: Dss, message: dict[str, Any]) -> Answer:
    url = str(message.get("SubscribeURL", ""))
    if dss.settings.sns_signatures and not is_amazon_url(url):
        raise Forbidden(f"SubscribeURL: {url[:200]!r} is not of SNS")
    get(url)
    _log.info("subscription confirmed", topic=message["TopicArn"])
    return "confirmed", 200


def _unsubscribed(_: Dss, message: dict[str, Any]) -> Answer:
    _log.error("unsubscribed: no event of S3 comes any more", topic=message["TopicArn"])
    return "noted", 200


def _pass_on(dss: Dss, message: dict[str, Any]) -> Answer:
    count = 0
    # All of them are understood before the first one is published.
    for event in list(_events(dss, str(message.get("Message", "")))):
        dss.publisher.publish(OBJECT_EVENTS, event.attributes)
        count += 1
    return str(count), 200


def _events(dss: Dss, text: str) -> Iterator[ObjectEvent]:
    """Yield what S3 tells of: creations in buckets of ours. Its test event, when set up, tells of nothing."""
    try:
        records = json.loads(text).get("Records", [])
        for record in records:
            bucket = record["s3"]["bucket"]["name"]
            replica = dss.replicas.of_bucket(bucket)
            if replica and record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
                yield ObjectEvent(
                    replica=replica.name,
                    bucket=bucket,
                    # S3 writes keys as they stand in URLs' queries.
                    key=unquote_plus(record["s3"]["object"]["key"]),
                    # What the stores take for an object's revision.
                    generation=str(record["s3"]["object"].get("eTag", "")),
                )
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise IllegalArguments("Message: this is no event of S3") from error


# What SNS sends.
_TYPES: Mapping[str, Callable[[Dss, dict[str, Any]], Answer]] = {
    "Notification": _pass_on,
    "SubscriptionConfirmation": _confirm,
    "UnsubscribeConfirmation": _unsubscribed,
}
