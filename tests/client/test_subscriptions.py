"""`dss subscription`, against a running system."""

import json
from pathlib import Path

from dss.client import Client
from tests.support.api import new_uuid, now
from tests.support.command_line import Outcome, dss_here
from tests.support.subscriber import subscriber

ES_QUERY = {"query": {"match_all": {}}}


def printed(outcome: Outcome) -> str:
    """Return what a command printed that went well."""
    assert outcome.code == 0, outcome.err
    return outcome.out.strip()


def test_a_subscription_from_beginning_to_end(whole_system: dict[str, str], tmp_path: Path) -> None:
    secret, query = tmp_path / "secret", tmp_path / "query.json"
    secret.write_text("a secret\n")
    query.write_text(json.dumps(ES_QUERY))
    path, env, where = f"/ok/{new_uuid()}", whole_system, ("subscription",)
    with subscriber() as server:
        wanted = ("--jmespath", "not_there", "--attach", "files=manifest.files", "--form", "a=b")
        url = server.url(path)
        uuid = printed(
            dss_here(env, *where, "put", url, *wanted, "--secret-file", secret, "--key-id", "mine")
        )
        by_es = printed(dss_here(env, *where, "put", url, "--es-query", query, "--method", "PUT"))

        shown = dss_here(env, *where, "get", uuid).json
        assert shown["attachments"] == {"files": {"type": "jmespath", "expression": "manifest.files"}}
        assert (shown["encoding"], shown["form_fields"]) == ("multipart/form-data", {"a": "b"})
        assert "hmac_secret_key" not in shown
        assert dss_here(env, *where, "get", by_es, "--kind", "elasticsearch").json["method"] == "PUT"
        listed = printed(dss_here(env, *where, "list"))
        assert f"{uuid}  {url}  not_there" in listed
        assert f"{by_es}  {url}  {json.dumps(ES_QUERY)}" in listed

        sent = printed(dss_here(env, *where, "test", uuid))
        [call] = server.wait_for(path)
        assert b"not_there" in call.body and 'keyId="mine"' in call.headers["authorization"]
        client = Client(env["DSS_URL"], env["DSS_TOKEN"], replica="gcp")
        server.wait(lambda: [row["state"] for row in client.deliveries(uuid)] == ["delivered"])
        assert "delivered" in printed(dss_here(env, *where, "deliveries", uuid))
        [row] = dss_here(env, *where, "deliveries", uuid, "--json").json["deliveries"]
        assert (row["delivery_id"], row["event_type"]) == (sent, "TEST")
        assert len(printed(dss_here(env, *where, "replay", uuid, "--from-date", now()))) == len(uuid)

    printed(dss_here(env, *where, "delete", uuid))
    printed(dss_here(env, *where, "delete", by_es, "--kind", "elasticsearch"))
    assert uuid not in printed(dss_here(env, *where, "list"))
    gone = dss_here(env, *where, "get", uuid)
    assert (gone.code, "not_found" in gone.err) == (3, True)


def test_malformed_queries_are_rejected(stack: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "query.json").write_text("{")
    for wanted, said in (
        (("--jmespath", "files["), "invalid_jmespath"),
        (("--attach", "files"), "--attach"),
        (("--es-query", tmp_path / "query.json"), "not JSON"),
    ):
        refused = dss_here(stack, "subscription", "put", "https://example.org", *wanted)
        assert (refused.code, said in refused.err) == (1, True), refused.err
