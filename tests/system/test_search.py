"""From an upload to a search result, and from a tombstone to none, in both clouds."""

import json
from pathlib import Path

import pytest

from dss.client import Client
from dss.errors import CallFailed
from tests.support.api import Api
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss
from tests.support.waiting import wait_until

SAMPLE = Path(__file__).parents[2] / "local" / "sample"
# The query of the first README of such a store.
THREE_CLAUSES = {
    "query": {
        "bool": {
            "must": [
                {"match": {"files.donor_organism_json.medical_history.smoking_history": "yes"}},
                {"match": {"files.specimen_from_organism_json.genus_species.text": "Homo sapiens"}},
                {"match": {"files.specimen_from_organism_json.organ.text": "brain"}},
            ]
        }
    }
}


def test_an_uploaded_bundle_is_found_in_both_clouds_until_it_is_deleted(
    whole_system: dict[str, str], tmp_path: Path
) -> None:
    env = {**whole_system, "XDG_CACHE_HOME": str(tmp_path)}
    clients = {name: Client(env["DSS_URL"], env["DSS_TOKEN"], replica=name) for name in REPLICAS}
    uploaded = dss(env, "upload", SAMPLE, "--json").json
    uuid, version = uploaded["uuid"], uploaded["version"]
    fqid = f"{uuid}.{version}"

    def found(replica: str, query: dict = THREE_CLAUSES) -> list[dict]:
        return [hit for hit in clients[replica].search(query, raw=True) if hit["bundle_fqid"] == fqid]

    for replica in REPLICAS:
        wait_until(lambda: found(replica), f"the bundle is found in {replica}")  # noqa: B023
        [hit] = found(replica)
        document = hit["metadata"]
        assert (document["uuid"], document["state"]) == (uuid, "new")
        assert document["manifest"]["version"] == version
        assert document["shape_descriptor"].startswith("v.cell_suspension.13.")
        event = Api(env["DSS_URL"]).get(f"/v1/events/{uuid}", version=version, replica=replica)
        names = {file["name"] for file in document["manifest"]["files"] if file["indexed"]}
        assert document["files"] == event.json()["files"] and "links.json" in names
    (tmp_path / "query").write_text(json.dumps(THREE_CLAUSES))
    assert fqid in dss(env, "search", f"@{tmp_path / 'query'}").out.splitlines()
    shown = dss(env, "search", json.dumps(THREE_CLAUSES), "--replica", "aws", "--json").json
    assert fqid in [hit["bundle_fqid"] for hit in shown["results"]]

    admin = Client(env["DSS_URL"], env["DSS_ADMIN_TOKEN"])
    admin.delete_bundle(uuid, reason="to see it leave")
    by_death = {"bool": {"must": [{"term": {"admin_deleted": True}}, {"term": {"uuid": uuid}}]}}
    for replica in REPLICAS:
        wait_until(lambda: not found(replica), f"the bundle has left {replica}")  # noqa: B023
        [hit] = found(replica, by_death)
        assert hit["metadata"]["reason"] == "to see it leave"


def test_the_command_line_names_a_clause_that_is_not_served(whole_system: dict[str, str]) -> None:
    outcome = dss(whole_system, "search", '{"query": {"fuzzy": {"a": "b"}}}')
    assert (outcome.code, "es_query.query.fuzzy" in outcome.err) == (1, True)
    assert dss(whole_system, "search", "no JSON").code == 1
    with pytest.raises(CallFailed, match=r"es_query\.size"):
        list(Client(whole_system["DSS_URL"]).search({"query": {"match_all": {}}, "size": 1}))
