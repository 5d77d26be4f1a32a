"""Operators see the subscriptions of everybody, delete them, and learn whose secret is of no use."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from run.api.app import create_app
from tests.support.apart import catalog_apart
from tests.support.api import Api
from tests.support.command_line import dss_here
from tests.support.dss import open_dss_for_threads

CALLBACK = "https://example.org/ops"


@pytest.fixture
def env(stack: Mapping[str, str]) -> dict[str, str]:
    """What the command reads, with the keys of the API."""
    keys = Path(stack["DSS_LOCAL_DATA"]) / "keys" / "subscription-secrets.key"
    return {**stack, "DSS_SECRETS_KEY_FILE": str(keys)}


def put(api: Api, **body: str) -> str:
    answer = api.put("/v1/subscriptions", replica="aws", json={"callback_url": CALLBACK, **body})
    assert answer.status_code == 201, answer.text
    uuid: str = answer.json()["uuid"]
    return uuid


def listed(env: Mapping[str, str], *arguments: str) -> dict[str, dict[str, object]]:
    outcome = dss_here(env, "admin", "subscriptions", "list", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    return {row["uuid"]: row for row in outcome.json["subscriptions"]}


def test_everybody_s_subscriptions_are_listed_and_one_is_deleted(env: dict[str, str], api: Api) -> None:
    uuid = put(api, hmac_secret_key="a secret")
    row = listed(env)[uuid]

    dry = dss_here(env, "admin", "subscriptions", "delete", uuid, "--dry-run")
    refused = dss_here(env, "admin", "subscriptions", "delete", uuid)

    assert (row["replica"], row["callback"], row["signed"], row["paused"]) == ("aws", CALLBACK, True, False)
    assert uuid in listed(env, "--owner", str(row["owner"]), "--replica", "aws")
    assert uuid not in listed(env, "--owner", "nobody@example.org")
    assert uuid not in listed(env, "--replica", "gcp")
    assert (dry.code, "would be deleted" in dry.out, refused.code) == (0, True, 2)
    assert uuid in listed(env)

    assert dss_here(env, "admin", "subscriptions", "delete", uuid, "--yes").code == 0

    assert uuid not in listed(env)
    again = dss_here(env, "admin", "subscriptions", "delete", uuid, "--yes")
    assert (again.code, "does not exist" in again.err) == (1, True)


def test_a_key_that_decrypts_no_secret_is_noticed(env: dict[str, str], tmp_path: Path) -> None:
    # Others have subscriptions with other keys.
    env = catalog_apart(env)
    answer = (
        create_app(open_dss_for_threads(env, publishes=False))
        .test_client()
        .put(
            "/v1/subscriptions?replica=aws",
            json={"callback_url": CALLBACK, "hmac_secret_key": "a secret"},
            headers={"Authorization": f"Bearer {env['DSS_TOKEN']}"},
        )
    )
    assert answer.status_code == 201, answer.text
    uuid = answer.get_json()["uuid"]
    other, broken = tmp_path / "other", tmp_path / "broken"
    other.write_bytes(Fernet.generate_key())
    broken.write_text("no key")

    well, with_other, with_broken = (
        dss_here({**env, "DSS_SECRETS_KEY_FILE": file}, "admin", "secrets", "check", "--json")
        for file in (env["DSS_SECRETS_KEY_FILE"], str(other), str(broken))
    )

    assert (well.code, well.json["bad"]) == (0, 0)
    assert well.json["signed"] == 1
    assert (with_other.code, with_broken.code) == (1, 1)
    assert [row["uuid"] for row in with_other.json["first"]] == [uuid]
    assert "a line is no key" in with_broken.json["first"][0]["why"]
    assert "a secret" not in well.out + with_other.out
    assert dss_here({**env, "DSS_SECRETS_KEY_FILE": str(other)}, "admin", "secrets", "encrypt").code == 1

    # The new key first; once it has encrypted them, the old one is of no use.
    both = tmp_path / "both"
    both.write_bytes(other.read_bytes() + b"\n" + Path(env["DSS_SECRETS_KEY_FILE"]).read_bytes())
    with_both = {**env, "DSS_SECRETS_KEY_FILE": str(both)}
    dry = dss_here(with_both, "admin", "secrets", "encrypt", "--dry-run", "--json")
    assert (dry.code, dry.json) == (0, {"dry_run": True, "encrypted": 1, "bad": 0})
    assert dss_here(env, "admin", "secrets", "check").code == 0
    assert dss_here(with_both, "admin", "secrets", "encrypt").code == 0
    assert dss_here(env, "admin", "secrets", "check").code == 1
    assert dss_here({**env, "DSS_SECRETS_KEY_FILE": str(other)}, "admin", "secrets", "check").code == 0
