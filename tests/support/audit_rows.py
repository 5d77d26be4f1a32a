"""How an admin calls each operation of the contract, and what the audit log says of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection
from tests.support.clouds import Clouds

SUBSCRIPTION = {"callback_url": "https://subscriber.example.org/hook", "jmespath_query": "event_type"}


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there, and who asks for it."""

    admin: Api
    clouds: Clouds
    file: Version
    bundle: Version
    collection: Version
    subscription: str

    def request(self, method: str, path: str, trace: dict[str, str], **more: Any) -> requests.Response:
        return self.admin.request(method, f"/v1/{path}", headers=trace, replica="gcp", **more)

    def new_bundle(self) -> Version:
        return put_bundle(self.admin, "gcp", [self.file.named("name")])

    def new_collection(self) -> Version:
        return put_collection(self.admin, "gcp", [])

    def new_subscription(self) -> str:
        answer = self.admin.put("/v1/subscriptions", replica="gcp", json=SUBSCRIPTION)
        return str(answer.json()["uuid"])


Ask = Callable[[World, dict[str, str]], tuple[requests.Response, str]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How an admin calls an operation; what its line says, if one is due: `ask` returns the UUID in it."""

    ask: Ask
    kind: str = ""
    urls: int = 0
    decision: str = "allowed"
    statuses: tuple[int, ...] = field(default=(200, 201, 202))


def get(path: str, **query: Any) -> Ask:
    """Return how to call an operation for which no line is due."""

    def ask(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
        return world.request("GET", path.format(world=world), trace, **query), ""

    return ask


def put_a_file(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    uuid = new_uuid()
    body = {"source_url": world.clouds.stage("gcp", b"content"), "creator_uid": 1}
    return world.admin.put(f"/v1/files/{uuid}", headers=trace, version=now(), json=body), uuid


def new_item(uuid: str) -> dict[str, Any]:
    """Return a new version of a file, as an item of `files.put_many`."""
    return {"uuid": uuid, "version": now(), "creator_uid": 1, "content": "Y29udGVudA=="}


def put_files(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    # Its line names many files, and not one of them by `uuid`.
    return world.request("POST", "files/batch", trace, json={"files": [new_item(new_uuid())]}), ""


def put_a_bundle(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    uuid, body = new_uuid(), {"files": [world.file.named("name")], "creator_uid": 1}
    return world.request("PUT", f"bundles/{uuid}", trace, version=now(), json=body), uuid


def patch_a_bundle(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    old, body = world.new_bundle(), {"add_files": [world.file.named("other")]}
    return world.request("PATCH", f"bundles/{old.uuid}", trace, version=old.version, json=body), old.uuid


def delete_a_bundle(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    old = world.new_bundle()
    return world.request("DELETE", f"bundles/{old.uuid}", trace, json={"reason": "wrong"}), old.uuid


def put_a_collection(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    uuid, body = new_uuid(), {"name": "n", "description": "d", "details": {}, "contents": []}
    return world.request("PUT", "collections", trace, uuid=uuid, version=now(), json=body), uuid


def patch_a_collection(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    old, body = world.new_collection(), {"name": "other"}
    return world.request("PATCH", f"collections/{old.uuid}", trace, version=old.version, json=body), old.uuid


def delete_a_collection(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    old = world.new_collection()
    return world.request("DELETE", f"collections/{old.uuid}", trace), old.uuid


def subscribe(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    answer = world.request("PUT", "subscriptions", trace, json=SUBSCRIPTION)
    return answer, str(answer.json()["uuid"])


def unsubscribe(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    uuid = world.new_subscription()
    query = {"subscription_type": "jmespath"}
    return world.request("DELETE", f"subscriptions/{uuid}", trace, **query), uuid


def post(path: str, **query: str) -> Ask:
    """Return how to call an operation on the subscription."""

    def ask(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
        path_of = f"subscriptions/{world.subscription}/{path}"
        return world.request("POST", path_of, trace, **query), world.subscription

    return ask


def check_out(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    path = f"bundles/{world.bundle.uuid}/checkout"
    return world.request("POST", path, trace, json={}), world.bundle.uuid


def search(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    return world.request("POST", "search", trace, json={"es_query": {"query": {"match_all": {}}}}), ""


def file_url(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    return world.request("GET", f"files/{world.file.uuid}", trace), world.file.uuid


def head_of_file(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    return world.request("HEAD", f"files/{world.file.uuid}", trace), ""


def bundle_urls(world: World, trace: dict[str, str]) -> tuple[requests.Response, str]:
    path = f"bundles/{world.bundle.uuid}"
    return world.request("GET", path, trace, presignedurls=True), world.bundle.uuid


# Of an operation with a kind, a line is due.
ROWS: dict[str, Row] = {
    "search.post": Row(ask=search),
    "files.head": Row(ask=head_of_file),
    "files.get": Row(ask=file_url, kind="file", urls=1, statuses=(302,)),
    "files.put": Row(ask=put_a_file, kind="file"),
    "files.put_many": Row(ask=put_files, kind="file"),
    "bundles.list_all": Row(ask=get("bundles/all"), statuses=(200, 206)),
    "bundles.get": Row(ask=bundle_urls, kind="bundle", urls=2),
    "bundles.put": Row(ask=put_a_bundle, kind="bundle"),
    "bundles.patch": Row(ask=patch_a_bundle, kind="bundle"),
    "bundles.delete": Row(ask=delete_a_bundle, kind="bundle"),
    # These systems have no workflows: the job is made, and cannot be started.
    "checkout.post": Row(ask=check_out, kind="bundle", statuses=(503,)),
    "checkout.get": Row(ask=get(f"bundles/checkout/{new_uuid()}"), statuses=(404,)),
    "collections.list_own": Row(ask=get("collections"), statuses=(200, 206)),
    "collections.get": Row(ask=get("collections/{world.collection.uuid}")),
    "collections.put": Row(ask=put_a_collection, kind="collection"),
    "collections.patch": Row(ask=patch_a_collection, kind="collection"),
    "collections.delete": Row(ask=delete_a_collection, kind="collection"),
    "subscriptions.list_own": Row(ask=get("subscriptions", subscription_type="jmespath")),
    "subscriptions.get": Row(ask=get("subscriptions/{world.subscription}", subscription_type="jmespath")),
    "subscriptions.put": Row(ask=subscribe, kind="subscription"),
    "subscriptions.delete": Row(ask=unsubscribe, kind="subscription"),
    "subscriptions.deliveries": Row(ask=get("subscriptions/{world.subscription}/deliveries")),
    # Nor has Pub/Sub any topics here.
    "subscriptions.test": Row(ask=post("test"), kind="subscription", statuses=(202, 503)),
    "subscriptions.replay": Row(
        ask=post("replay", from_date="2026-01-01T000000.000000Z"), kind="subscription", statuses=(202, 503)
    ),
    "events.list_journals": Row(
        ask=lambda world, trace: (world.request("GET", "events", trace, from_date=world.bundle.version), ""),
        kind="journal",
        urls=1,
        statuses=(200, 206),
    ),
    # The content behind a URL that was handed out: only who has none is noted.
    "events.read_journal": Row(
        ask=lambda world, trace: (world.admin.get("/v1/journals?token=x", headers=trace), ""),
        kind="journal",
        decision="forbidden",
        statuses=(403,),
    ),
    "events.get": Row(
        ask=get("events/{world.bundle.uuid}", version="2026-01-01T000000.000000Z"), statuses=(404,)
    ),
    "drs.get": Row(ask=get("ga4gh/drs/v1/objects/{world.file.uuid}")),
}
