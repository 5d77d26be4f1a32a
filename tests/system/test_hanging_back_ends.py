"""While a back end hangs, requests that need it end in time with 503, and all others are answered."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from local.api import api_process
from run.api.gateway import MOST_WAITING, THREADS
from tests.support.api import Api, assert_problem, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.tcp_relay import TcpRelay, tcp_relay
from tests.support.waiting import wait_until

REQUEST_SECONDS = 4
# What the health check names as broken while one hangs.
NAMES = {"firestore": {"catalog"}, "gcs": {"gcp"}, "s3": {"aws"}}
# Requests that need the catalog alone, of either replica.
FROM_THE_CATALOG = ("a list", "events", "a bundle", "a file", "a search", "a subscription")
# A client library pauses before it finds that the time is up; and this machine may be busy.
SLACK_SECONDS = 12


@pytest.fixture(scope="module")
def relays(stack: dict[str, str]) -> Iterator[dict[str, TcpRelay]]:
    """A relay before each back end."""
    addresses = {
        "firestore": stack["FIRESTORE_EMULATOR_HOST"],
        "gcs": urlsplit(stack["STORAGE_EMULATOR_HOST"]).netloc,
        "s3": urlsplit(stack["AWS_ENDPOINT_URL"]).netloc,
    }
    with contextlib.ExitStack() as running:
        yield {name: running.enter_context(tcp_relay(address)) for name, address in addresses.items()}


@pytest.fixture(scope="module")
def relayed(stack: dict[str, str], relays: dict[str, TcpRelay]) -> Iterator[Api]:
    """An API that reaches its back ends by the relays, and has four seconds for a request."""
    settings = {
        "DSS_REQUEST_SECONDS": str(REQUEST_SECONDS),
        "FIRESTORE_EMULATOR_HOST": relays["firestore"].address,
        "STORAGE_EMULATOR_HOST": f"http://{relays['gcs'].address}",
        "AWS_ENDPOINT_URL": f"http://{relays['s3'].address}",
        # A search in PostgreSQL may need none of them.
        "DSS_INDEX": "firestore",
    }
    with api_process(stack, settings) as process:
        yield Api(process.url, stack["DSS_ADMIN_TOKEN"])


def requests_of(api: Api, clouds: Clouds) -> dict[str, tuple[str, str, dict[str, object]]]:
    """Return requests, by the back ends that each needs beside Firestore."""
    gcs, s3 = clouds.stage("gcp", b"from gcs"), clouds.stage("aws", b"from s3")
    file = put_file(api, clouds.stage("gcp", b"a file"))
    bundle = put_bundle(api, "gcp", [file.named("a")])
    on_s3 = put_bundle(api, "aws", [put_file(api, clouds.stage("aws", b"a file on s3")).named("a")])
    body = {"creator_uid": 1}
    version, at = now(), {"replica": "gcp"}
    links = [{"type": "file", "uuid": file.uuid, "version": file.version}]
    collection = {"name": "a", "description": "a", "details": {}, "contents": links}
    return {
        "a list": ("GET", "/v1/bundles/all", at),
        "events": ("GET", "/v1/events", at),
        "a bundle": ("GET", f"/v1/bundles/{bundle.uuid}", at),
        "a file": ("HEAD", f"/v1/files/{file.uuid}", at),
        "a search": ("POST", "/v1/search", {**at, "json": {"es_query": {"query": {"match_all": {}}}}}),
        "a new bundle": (
            *("PUT", f"/v1/bundles/{new_uuid()}"),
            {**at, "version": version, "json": {**body, "files": []}},
        ),
        "a new collection": (
            *("PUT", "/v1/collections"),
            {**at, "uuid": new_uuid(), "version": version, "json": collection},
        ),
        "a subscription": (
            *("PUT", "/v1/subscriptions"),
            {**at, "json": {"callback_url": "https://example.org"}},
        ),
        "gcs: a new file": (
            *("PUT", f"/v1/files/{new_uuid()}"),
            {"version": version, "json": {**body, "source_url": gcs}},
        ),
        "s3: a new file": (
            *("PUT", f"/v1/files/{new_uuid()}"),
            {"version": version, "json": {**body, "source_url": s3}},
        ),
        "gcs: a document": ("GET", f"/v1/events/{bundle.uuid}", {**at, "version": bundle.version}),
        "s3: a document": (
            *("GET", f"/v1/events/{on_s3.uuid}"),
            {"replica": "aws", "version": on_s3.version},
        ),
    }


def broken(api: Api) -> set[str]:
    """Return the first words of the back ends that the health check, which ends in time, names as broken."""
    began = time.monotonic()
    answer = api.signed_in(None).get("/internal/health")
    assert time.monotonic() - began < 20
    named = answer.json().get("broken", {})
    assert (answer.status_code == 503) == bool(named) == (not answer.json()["Healthy"])
    return {name.split()[0] for name in named}


@pytest.mark.parametrize("back_end", ["firestore", "gcs", "s3"])
def test_requests_end_in_time_while_a_back_end_hangs(
    relayed: Api, relays: dict[str, TcpRelay], clouds: Clouds, back_end: str
) -> None:
    requests = {
        name: request
        for name, request in requests_of(relayed, clouds).items()
        if back_end == "firestore" or name.startswith(back_end)
    }

    def ask(name: str) -> tuple[str, float]:
        method, path, options = requests[name]
        began = time.monotonic()
        answer = relayed.signed_in(relayed.token).request(method, path, **options)
        seconds = time.monotonic() - began
        if method == "HEAD":
            assert answer.status_code == 503
        else:
            assert_problem(answer, 503, "service_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        return name, seconds

    relays[back_end].hold()
    try:
        with ThreadPoolExecutor(len(requests) + 40) as threads:
            asked = [threads.submit(ask, name) for name in requests]
            # More than there are threads that wait for a back end.
            crowd = [threads.submit(ask, next(iter(requests))) for _ in range(40)]
            for _ in range(5):
                began = time.monotonic()
                assert relayed.signed_in(None).get("/version").status_code == 200
                # Not behind those that wait.
                assert time.monotonic() - began < REQUEST_SECONDS
            # What was found in the last two seconds is still answered.
            wait_until(lambda: broken(relayed) == NAMES[back_end], "the API says which it is")
            slow = {
                name: seconds
                for name, seconds in (one.result() for one in asked)
                if seconds > REQUEST_SECONDS + SLACK_SECONDS
            }
            assert slow == {}
            assert max(one.result()[1] for one in crowd) < 2 * REQUEST_SECONDS + SLACK_SECONDS
    finally:
        relays[back_end].resume()

    for method, path, options in requests.values():
        assert relayed.request(method, path, **options).status_code < 400
    wait_until(lambda: not broken(relayed), "the API notices that it is back")


@pytest.mark.parametrize("back_end", ["gcs", "s3"])
def test_what_needs_no_object_store_goes_on_while_one_hangs(
    relayed: Api, relays: dict[str, TcpRelay], clouds: Clouds, back_end: str
) -> None:
    requests = requests_of(relayed, clouds)
    other = "s3" if back_end == "gcs" else "gcs"
    going_on = [*FROM_THE_CATALOG, *(name for name in requests if name.startswith(other))]
    relays[back_end].hold()
    try:
        for name in going_on:
            method, path, options = requests[name]
            answer = relayed.request(method, path, **options)
            assert answer.status_code < 400, (name, answer.text)
    finally:
        relays[back_end].resume()


def test_more_than_may_wait_are_refused_at_once(
    relayed: Api, relays: dict[str, TcpRelay], clouds: Clouds
) -> None:
    method, path, options = requests_of(relayed, clouds)["a bundle"]

    def ask(_: int) -> float:
        began = time.monotonic()
        answer = relayed.signed_in(relayed.token).request(method, path, **options)
        assert_problem(answer, 503, "service_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        return time.monotonic() - began

    count = THREADS + MOST_WAITING + 40
    relays["firestore"].hold()
    try:
        with ThreadPoolExecutor(count) as threads:
            took = sorted(threads.map(ask, range(count)))
    finally:
        relays["firestore"].resume()
    # All others have waited for the back end for REQUEST_SECONDS, or for a thread.
    assert took[10] < REQUEST_SECONDS
    assert relayed.request(method, path, **options).status_code == 200
