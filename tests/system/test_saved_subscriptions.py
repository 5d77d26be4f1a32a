"""Subscriptions are in no object of a user: they are saved to the buckets, and outlive the catalog."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from requests_http_signature import HTTPSignatureAuth

from shared.identifiers import SAVED_SUBSCRIPTIONS
from shared.messages import BundleEvent
from shared.webhooks.notifications import notification_of
from tests.support.api import new_uuid, now
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss_here
from tests.support.function_process import FunctionProcess, function_process
from tests.support.manual_system import ManualSystem, manual_system_on
from tests.support.subscriber import RecordedRequest, subscriber

SECRET = "a secret of somebody"


@pytest.fixture
def system(stack: dict[str, str]) -> Iterator[ManualSystem]:
    """A system whose catalog a test may lose."""
    with manual_system_on({**stack, "DSS_CALLBACK_NETWORKS": "127.0.0.0/8"}) as system:
        yield system


@pytest.fixture
def compact(system: ManualSystem) -> Iterator[FunctionProcess]:
    """The function that saves subscriptions, called by nobody else."""
    with function_process("compact", system.env) as process:
        yield process


def subscribe(system: ManualSystem, replica: str, url: str, **wanted: Any) -> str:
    """Return the UUID of a new subscription with a secret."""
    body = {"callback_url": url, "hmac_secret_key": SECRET, "hmac_key_id": "mine", **wanted}
    answer = system.api.put("/v1/subscriptions", replica=replica, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["uuid"])


def listed(system: ManualSystem, replica: str) -> list[dict[str, Any]]:
    """Return the subscriptions that their owner sees."""
    answer = system.api.get("/v1/subscriptions", replica=replica, subscription_type="jmespath")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["subscriptions"]
    return rows


def saved(system: ManualSystem) -> dict[str, list[str]]:
    """Return the keys of the saved subscriptions in each bucket."""
    return {replica: sorted(system.clouds.keys(replica, SAVED_SUBSCRIPTIONS)) for replica in REPLICAS}


def run(compact: FunctionProcess) -> tuple[int, str]:
    """Return the answer of a run."""
    answer = compact.post("")
    return answer.status_code, answer.text


def rebuilt(env: Mapping[str, str], replica: str, *options: str) -> Any:
    """Return the outcome of a rebuild."""
    return dss_here(env, "admin", "rebuild", "--replica", replica, *options, "--json")


@pytest.mark.parametrize("source", REPLICAS)
def test_a_rebuild_from_either_bucket_brings_subscriptions_back_and_their_calls_are_signed(
    system: ManualSystem, compact: FunctionProcess, source: str
) -> None:
    with subscriber() as server:
        url = server.url("/ok/rebuilt")
        uuid = subscribe(system, "gcp", url, jmespath_query="event_type == 'CREATE'")
        subscribe(system, "aws", url, form_fields={"token": "of the callee"}, method="PUT")
        before = {replica: listed(system, replica) for replica in REPLICAS}
        assert run(compact)[0] == 200
        for replica in REPLICAS:
            [key] = saved(system)[replica][:1]
            content = system.clouds.read(replica, key)
            assert not any(each.encode() in content for each in (SECRET, url, "callee"))
        system.delete_catalog()
        assert listed(system, "gcp") == []

        dry = rebuilt(system.env, source, "--dry-run")
        done = rebuilt(system.env, source)

        assert dry.json["subscriptions"] == {"objects": 2, "new": 2, "failed": 0}
        assert done.code == 0, done.err
        assert done.json["subscriptions"] == {"objects": 2, "new": 2, "failed": 0}
        assert {replica: listed(system, replica) for replica in REPLICAS} == before
        assert rebuilt(system.env, source).json["subscriptions"] == {"objects": 2, "new": 0, "failed": 0}
        subscription = system.dss.catalog.subscriptions.get(uuid)
        assert subscription
        event = BundleEvent(
            id=new_uuid(), replica="gcp", type="CREATE", uuid=new_uuid(), version=now(), timestamp=now()
        )
        notification = notification_of("https://dss.example.org", subscription, event, {})
        with function_process("deliver", system.env) as deliver:
            sent = deliver.push(notification.attributes, data=notification.data, published=datetime.now(UTC))
        assert sent.status_code == 204
        [call] = server.calls_of("/ok/rebuilt")
        verify(call)


def verify(call: RecordedRequest) -> None:
    """Verify the signature of a call, as subscribers do. Raises AssertionError."""
    received = requests.PreparedRequest()
    url = f"http://{call.headers['host']}{call.path}"
    received.prepare(method=call.method, url=url, headers=dict(call.headers), data=call.body)
    HTTPSignatureAuth.verify(received, key_resolver=lambda **_: SECRET.encode())


def test_what_is_saved_follows_each_change_and_no_more_is_kept(
    system: ManualSystem, compact: FunctionProcess
) -> None:
    assert run(compact) == (200, "0")
    assert saved(system) == {"gcp": [], "aws": []}
    uuid = subscribe(system, "aws", "https://example.org/one")
    run(compact)
    first = saved(system)
    assert [len(keys) for keys in first.values()] == [1, 1]
    assert run(compact)[0] == 200
    assert saved(system) == first
    assert system.api.delete(f"/v1/subscriptions/{uuid}", replica="aws").status_code == 200

    run(compact)

    assert [len(keys) for keys in saved(system).values()] == [1, 1]
    assert saved(system) != first
    system.delete_catalog()
    assert rebuilt(system.env, "gcp").json["subscriptions"]["objects"] == 0
    audit = dss_here(system.env, "admin", "audit", "--settled-after", "0", "--json")
    assert (audit.code, audit.json["findings"]) == (0, 0)


def test_while_a_bucket_does_not_answer_nothing_is_saved(
    system: ManualSystem, compact: FunctionProcess
) -> None:
    subscribe(system, "gcp", "https://example.org/first")
    run(compact)
    before = saved(system)
    subscribe(system, "gcp", "https://example.org/second")
    compact.kill()
    # Nobody listens there.
    compact.start(AWS_ENDPOINT_URL="http://127.0.0.1:9")

    assert run(compact)[0] == 503

    assert saved(system) == before
    compact.kill()
    compact.start(AWS_ENDPOINT_URL=system.env["AWS_ENDPOINT_URL"])
    assert run(compact)[0] == 200
    assert not set(before["gcp"]) & set(saved(system)["gcp"])


def test_an_empty_catalog_does_not_replace_what_a_lost_one_has_saved(
    system: ManualSystem, compact: FunctionProcess
) -> None:
    uuid = subscribe(system, "gcp", "https://example.org/lost")
    run(compact)
    before = saved(system)
    system.delete_catalog()
    others = [subscribe(system, "gcp", f"https://example.org/new/{number}") for number in range(3)]

    status, text = run(compact)

    assert (status, "dss admin rebuild --replica" in text) == (503, True)
    assert saved(system) == before
    assert rebuilt(system.env, "aws").code == 0
    assert {row["uuid"] for row in listed(system, "gcp")} == {uuid, *others}
    assert run(compact)[0] == 200
    assert not set(before["gcp"]) & set(saved(system)["gcp"])
    system.delete_catalog()
    assert rebuilt(system.env, "gcp").json["subscriptions"]["new"] == 4


def test_a_new_key_encrypts_what_is_saved_anew_and_a_wrong_one_restores_nothing(
    system: ManualSystem, compact: FunctionProcess, tmp_path: Path
) -> None:
    subscribe(system, "gcp", "https://example.org/keys")
    run(compact)
    before = saved(system)
    old, new, both = Path(system.env["DSS_SECRETS_KEY_FILE"]), tmp_path / "new", tmp_path / "both"
    new.write_bytes(Fernet.generate_key())
    both.write_bytes(new.read_bytes() + b"\n" + old.read_bytes())

    compact.kill()
    compact.start(DSS_SECRETS_KEY_FILE=str(both))
    assert run(compact)[0] == 200

    assert [len(keys) for keys in saved(system).values()] == [1, 1]
    assert not set(before["gcp"]) & set(saved(system)["gcp"])
    system.delete_catalog()
    wrong = rebuilt(system.env, "gcp")
    assert (wrong.code, wrong.json["subscriptions"]) == (1, {"objects": 1, "new": 0, "failed": 1})
    assert "no key of DSS_SECRETS_KEY_FILE" in wrong.json["failures"][0]["why"]
    no_keys = {"DSS_SECRETS_KEY_FILE": "", "DSS_SIGN_IN_CLIENTS": "[]"}
    without = rebuilt({**system.env, **no_keys}, "gcp")
    assert "set DSS_SECRETS_KEY_FILE" in without.json["failures"][0]["why"]
    assert rebuilt({**system.env, "DSS_SECRETS_KEY_FILE": str(new)}, "gcp").code == 0
