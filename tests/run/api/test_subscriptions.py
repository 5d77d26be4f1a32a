"""Subscriptions, created, read and deleted by REST."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local.issuer.client import request_token
from tests.support.api import Api, assert_problem, new_uuid
from tests.support.concurrent_calls import ConcurrentCalls

PATH = "/v1/subscriptions"
CALLBACK = "https://subscriber.example.org/hook?of=mine"
MATCH_ALL = {"query": {"match_all": {}}}


@pytest.fixture
def owner(stack: dict[str, str]) -> Iterator[Api]:
    """A user without subscriptions."""
    yield somebody(stack)


def somebody(stack: dict[str, str]) -> Api:
    """Return the API for a new user."""
    return Api(stack["DSS_URL"], request_token(stack, f"{new_uuid()}@example.org", "dss"))


def put(api: Api, replica: str, **body: Any) -> str:
    """Return the UUID of a new subscription."""
    answer = api.put(PATH, replica=replica, json={"callback_url": CALLBACK, **body})
    assert answer.status_code == 201, answer.text
    uuid = str(answer.json()["uuid"])
    kind = {"subscription_type": "elasticsearch"} if "es_query" in body else {}
    # The answer is the whole subscription, without its secret.
    assert answer.json() == api.get(f"{PATH}/{uuid}", replica=replica, **kind).json()
    assert "hmac_secret_key" not in answer.json()
    return uuid


def listed(api: Api, replica: str, **query: str) -> list[str]:
    """Return the UUIDs of the caller's subscriptions."""
    answer = api.get(PATH, replica=replica, **query)
    assert (answer.status_code, set(answer.json())) == (200, {"subscriptions"}), answer.text
    return [one["uuid"] for one in answer.json()["subscriptions"]]


def test_a_subscription_is_shown_as_it_was_put_without_its_secret(owner: Api, replica: str) -> None:
    wanted = {
        "callback_url": CALLBACK,
        "jmespath_query": "files.cell_json[?age > `3`] && event_type == 'CREATE'",
        "method": "PUT",
        "encoding": "multipart/form-data",
        "form_fields": {"key": "über/${filename}"},
        "payload_form_field": "file",
        "hmac_key_id": "my key",
        "attachments": {"cells": {"type": "jmespath", "expression": "files.cell_json[].id"}},
    }
    uuid = put(owner, replica, **wanted, hmac_secret_key="a secret")

    shown = owner.get(f"{PATH}/{uuid}", replica=replica)

    assert shown.status_code == 200
    email = shown.json()["owner"]
    end = shown.json()["acts_until"]
    assert shown.json() == {**wanted, "uuid": uuid, "replica": replica, "owner": email, "acts_until": end}
    assert owner.get(PATH, replica=replica).json()["subscriptions"] == [shown.json()]
    assert "a secret" not in shown.text


def test_missing_properties_have_their_defaults(owner: Api, replica: str) -> None:
    shown = owner.get(f"{PATH}/{put(owner, replica)}", replica=replica).json()
    assert (shown["method"], shown["encoding"]) == ("POST", "application/json")
    assert (shown["form_fields"], shown["payload_form_field"]) == ({}, "payload")
    assert shown.keys().isdisjoint({"jmespath_query", "es_query", "attachments", "hmac_key_id"})


def test_the_kinds_of_subscriptions_are_kept_apart(owner: Api, replica: str) -> None:
    by_jmespath, by_es = put(owner, replica), put(owner, replica, es_query=MATCH_ALL)
    assert listed(owner, replica) == listed(owner, replica, subscription_type="jmespath") == [by_jmespath]
    assert listed(owner, replica, subscription_type="elasticsearch") == [by_es]
    found = owner.get(f"{PATH}/{by_es}", replica=replica, subscription_type="elasticsearch")
    assert found.json()["es_query"] == MATCH_ALL
    assert_problem(owner.get(f"{PATH}/{by_es}", replica=replica), 404, "not_found", by_es)
    assert_problem(owner.delete(f"{PATH}/{by_es}", replica=replica), 404, "not_found", by_es)


def test_a_subscription_is_of_one_replica(owner: Api, replica: str) -> None:
    other = {"gcp": "aws", "aws": "gcp"}[replica]
    uuid = put(owner, replica)
    assert listed(owner, other) == []
    assert_problem(owner.get(f"{PATH}/{uuid}", replica=other), 404, "not_found", other)
    assert_problem(owner.delete(f"{PATH}/{uuid}", replica=other), 404, "not_found", other)


def test_a_subscription_is_its_owners_and_the_admins(
    owner: Api, stack: dict[str, str], admin: Api, anyone: Api, replica: str
) -> None:
    stranger = somebody(stack)
    uuid = put(owner, replica, hmac_secret_key="secret")
    path = f"{PATH}/{uuid}"

    assert listed(stranger, replica) == []
    assert_problem(stranger.get(path, replica=replica), 404, "not_found")
    assert_problem(stranger.delete(path, replica=replica), 404, "not_found")
    for method, where in (("GET", PATH), ("PUT", PATH), ("GET", path), ("DELETE", path)):
        body = {"callback_url": CALLBACK} if method == "PUT" else None
        assert_problem(anyone.request(method, where, replica=replica, json=body), 401, "Unauthorized")

    assert admin.get(path, replica=replica).json() == owner.get(path, replica=replica).json()
    assert admin.delete(path, replica=replica).status_code == 200
    assert_problem(owner.get(path, replica=replica), 404, "not_found")


def test_a_deleted_subscription_is_gone(owner: Api, replica: str) -> None:
    uuid, other = put(owner, replica), put(owner, replica)
    # Old clients send a body along.
    ended = owner.delete(f"{PATH}/{uuid}", replica=replica, json={})
    assert (ended.status_code, set(ended.json())) == (200, {"timeDeleted"})
    assert len(ended.json()["timeDeleted"]) == len("2026-01-12T093000.000000Z")
    assert listed(owner, replica) == [other]
    assert_problem(owner.delete(f"{PATH}/{uuid}", replica=replica), 404, "not_found")


def test_a_put_that_is_sent_again_with_its_key_makes_no_other_subscription(
    owner: Api, stack: dict[str, str], replica: str = "aws"
) -> None:
    body = {"callback_url": CALLBACK, "hmac_secret_key": "a", "form_fields": {"a": "b"}}

    def sent(api: Api, key: str, where: str = replica, **changes: Any) -> requests.Response:
        return api.put(PATH, replica=where, json=body | changes, headers={"Idempotency-Key": key})

    key = new_uuid()
    with ConcurrentCalls(2) as concurrently:
        answers = concurrently(lambda: sent(owner, key), lambda: sent(owner.signed_in(owner.token), key))
    answers.append(sent(owner, key))
    assert {one.status_code for one in answers} == {201}
    [uuid] = {one.json()["uuid"] for one in answers}
    assert listed(owner, replica) == [uuid]
    for changes in ({"hmac_secret_key": "b"}, {"method": "PUT"}):
        assert_problem(sent(owner, key, **changes), 422, "unprocessable", "Idempotency-Key")
    # A key is one person's, and of one replica.
    others = [sent(owner, new_uuid()), sent(owner, key, "gcp"), sent(somebody(stack), key)]
    assert len({uuid, *(one.json()["uuid"] for one in others)}) == 4
    assert_problem(sent(owner, "x" * 256), 400, "illegal_arguments", "Idempotency-Key")


def test_nobody_has_more_than_a_hundred(owner: Api, stack: dict[str, str], replica: str = "gcp") -> None:
    body = {"callback_url": CALLBACK}
    uuids = [put(owner, replica), put(owner, replica, es_query=MATCH_ALL)]
    for _ in range(98):
        assert owner.put(PATH, replica=replica, json=body).status_code == 201

    assert_problem(owner.put(PATH, replica=replica, json=body), 406, "not_acceptable", "100")
    put(owner, {"gcp": "aws", "aws": "gcp"}[replica])
    put(somebody(stack), replica)

    assert owner.delete(f"{PATH}/{uuids[0]}", replica=replica).status_code == 200
    put(owner, replica)
    assert_problem(owner.put(PATH, replica=replica, json=body), 406, "not_acceptable")
    assert len(listed(owner, replica)) == 99


@pytest.mark.parametrize(
    ("body", "status", "code", "word"),
    [
        ({"jmespath_query": "files["}, 400, "invalid_jmespath", "jmespath_query"),
        ({"jmespath_query": ""}, 400, "invalid_jmespath", "jmespath_query"),
        ({"jmespath_query": "nothing(@)"}, 400, "invalid_jmespath", "unknown function nothing()"),
        ({"jmespath_query": "[?length()]"}, 400, "invalid_jmespath", "needs 1 argument"),
        ({"jmespath_query": "(" * 5000}, 400, "invalid_jmespath", "jmespath_query"),
        ({"jmespath_query": "a" * 9000}, 400, "invalid_jmespath", "8192"),
        ({"jmespath_query": "a", "es_query": MATCH_ALL}, 400, "invalid_query_type", "es_query"),
        ({"es_query": {"query": {"more_like_this": {}}}}, 400, "elasticsearch_error", "more_like_this"),
        ({"es_query": {"aggs": {}}}, 400, "elasticsearch_error", "es_query"),
        (
            {"attachments": {"_a": {"type": "jmespath", "expression": "a"}}},
            400,
            "invalid_attachment_name",
            "_a",
        ),
        (
            {"attachments": {"a": {"type": "jmespath", "expression": "a["}}},
            *(400, "invalid_attachment_expression", "attachments.a"),
        ),
        (
            {"attachments": {"a": {"type": "jmespath", "expression": "a | b()"}}},
            *(400, "invalid_attachment_expression", "unknown function b()"),
        ),
        ({"attachments": {"a": {"type": "xpath", "expression": "a"}}}, 400, "illegal_arguments", "type"),
        ({"attachments": {"a": {"type": "jmespath"}}}, 400, "illegal_arguments", "expression"),
        ({"callback_url": "ftp://example.org"}, 400, "illegal_arguments", "callback_url"),
        ({"callback_url": "to https://example.org"}, 422, "unprocessable", "callback_url"),
        ({"callback_url": "https://"}, 422, "unprocessable", "callback_url"),
        ({"callback_url": "http://169.254.169.254/"}, 400, "illegal_arguments", "169.254.169.254"),
        ({"callback_url": "http://0xa.1:8080/a"}, 400, "illegal_arguments", "10.0.0.1"),
        ({"callback_url": "https://[fe80::1]/"}, 400, "illegal_arguments", "fe80::1"),
        ({"callback_url": "https://example.org:port/"}, 422, "unprocessable", "callback_url"),
        ({"callback_url": "https://[::1/"}, 422, "unprocessable", "callback_url"),
        ({"callback_url": "https://example.org/\r\nHost: x"}, 422, "unprocessable", "callback_url"),
        ({"method": "GET"}, 400, "illegal_arguments", "method"),
        ({"encoding": "text/plain"}, 400, "illegal_arguments", "encoding"),
        ({"form_fields": {"a": 1}}, 400, "illegal_arguments", "form_fields.a"),
        ({"form_fields": {"payload": "a"}}, 400, "illegal_arguments", "form_fields.payload"),
        ({"payload_form_field": ""}, 400, "illegal_arguments", "payload_form_field"),
        ({"hmac_secret_key": ""}, 400, "illegal_arguments", "hmac_secret_key"),
        ({"hmac_key_id": 'a"b'}, 400, "illegal_arguments", "hmac_key_id"),
        ({"hmac_key_id": "a,b"}, 400, "illegal_arguments", "hmac_key_id"),
        ({"hmac_key_id": "a\nb"}, 400, "illegal_arguments", "hmac_key_id"),
        ({"form_fields": {"a": "x" * 70_000}}, 400, "illegal_arguments", "65536"),
        ({"hmac_secret_key": "x" * 70_000}, 400, "illegal_arguments", "65536"),
        # Said before what would take long to compile is: each of these takes a tenth of a second.
        (
            {
                "attachments": {
                    str(n): {"type": "jmespath", "expression": f"a{n}{'[]' * 4000}"} for n in range(900)
                }
            },
            *(400, "illegal_arguments", "65536"),
        ),
    ],
)
def test_a_subscription_that_cannot_be_served_is_refused(
    owner: Api, body: dict[str, Any], status: int, code: str, word: str
) -> None:
    answer = owner.put(PATH, replica="gcp", json={"callback_url": CALLBACK, **body})
    assert_problem(answer, status, code, word)
    assert listed(owner, "gcp") == []


def test_a_read_only_system_accepts_no_subscriptions(read_only: Api) -> None:
    asked = (
        read_only.put(PATH, replica="gcp", json={"callback_url": CALLBACK}),
        read_only.delete(f"{PATH}/{new_uuid()}", replica="gcp"),
    )
    assert [(one.status_code, one.json()["code"]) for one in asked] == [(503, "read_only")] * 2
