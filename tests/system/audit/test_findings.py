"""What is wrong in a bucket is found, and nothing else is; what can be explained is put right."""

import os
from typing import Any

import pytest

from shared.checksums import checksums_of
from shared.maintenance.audit import Problem, Tally
from tests.support.api import Version, assert_problem, new_uuid, now, put_file
from tests.support.audits import audit_and_repair, audit_problems, unrepaired
from tests.support.clouds import REPLICAS
from tests.support.manual_system import ManualSystem, World

OTHER = {"gcp": "aws", "aws": "gcp"}


def test_a_whole_system_is_found_whole(system: ManualSystem, world: World) -> None:
    tally = Tally()

    assert audit_problems(system.dss, tally=tally) == []

    for name in REPLICAS:
        assert tally.objects[name] == len(system.clouds.keys(name, "")) >= len(world.keys)
    assert tally.known >= len(world.keys)
    assert tally.unsettled.total() == 0


def test_lost_objects_are_found_and_brought_back(system: ManualSystem, world: World, replica: str) -> None:
    before = {key: system.clouds.read(replica, key) for key in world.keys}
    for key in world.keys:
        system.remove(replica, key)

    assert audit_problems(system.dss) == sorted((Problem.LOST, replica, key) for key in world.keys)
    outcomes = audit_and_repair(system.dss)

    assert [outcome.left for outcome in outcomes] == [""] * len(world.keys)
    assert {key: system.clouds.read(replica, key) for key in world.keys} == before


def test_a_blob_that_no_replica_has_any_more_is_left(system: ManualSystem, world: World) -> None:
    content = system.clouds.read("gcp", world.blob)
    for name in REPLICAS:
        system.remove(name, world.blob)

    assert unrepaired(system.dss) == {
        (name, world.blob): "no other replica has a proved copy" for name in REPLICAS
    }

    system.overwrite("gcp", world.blob, content)
    assert [outcome.done for outcome in audit_and_repair(system.dss)] == ["copied from gcp, 1000 bytes"]


def test_a_lost_manifest_that_the_other_replica_contradicts_is_left(
    system: ManualSystem, world: World
) -> None:
    key = f"files/{world.file}"
    content = system.clouds.read("gcp", key)
    system.remove("gcp", key)
    system.overwrite("aws", key, content.replace(b"1000", b"1001"))

    reasons = unrepaired(system.dss)

    assert set(reasons) == {("gcp", key), ("aws", key)}
    assert "contradict each other" in reasons["gcp", key]
    assert "no other replica" in reasons["aws", key]
    system.overwrite("aws", key, content)
    assert [outcome.finding.replica for outcome in audit_and_repair(system.dss)] == ["gcp"]


# The clouds differ in what they say of content, not in sizes.
@pytest.mark.parametrize(
    ("replica", "content"),
    [("gcp", os.urandom(1000)), ("aws", os.urandom(1000)), ("gcp", b"short"), ("aws", b"")],
    ids=["gcp as long", "aws as long", "gcp shorter", "aws empty"],
)
def test_a_corrupt_blob_is_found_and_replaced(
    system: ManualSystem, world: World, replica: str, content: bytes
) -> None:
    before = system.clouds.read(replica, world.blob)
    system.overwrite(replica, world.blob, content)

    assert audit_problems(system.dss) == [(Problem.CORRUPT, replica, world.blob)]
    [outcome] = audit_and_repair(system.dss)

    assert outcome.done == f"copied from {OTHER[replica]}, 1000 bytes"
    assert system.clouds.read(replica, world.blob) == before


def test_a_corrupt_blob_stays_while_no_right_copy_is_proven(system: ManualSystem, world: World) -> None:
    content = system.clouds.read("gcp", world.blob)
    for name in REPLICAS:
        system.overwrite(name, world.blob, f"wrong on {name}".encode())

    assert unrepaired(system.dss) == {
        (name, world.blob): "no other replica has a proved copy" for name in REPLICAS
    }

    assert system.clouds.read("gcp", world.blob) == b"wrong on gcp"
    assert system.clouds.read("aws", world.blob) == b"wrong on aws"
    system.overwrite("aws", world.blob, content)
    assert len(audit_and_repair(system.dss)) == 1


def test_corrupt_documents_are_found_and_replaced(system: ManualSystem, world: World, replica: str) -> None:
    before = {key: system.clouds.read(replica, key) for key in world.documents}
    for key in world.documents:
        system.overwrite(replica, key, before[key].replace(b"a", b"b"))

    assert audit_problems(system.dss) == sorted((Problem.CORRUPT, replica, key) for key in world.documents)
    outcomes = audit_and_repair(system.dss)

    assert {outcome.done for outcome in outcomes} == {
        f"replaced by what the catalog has, and {OTHER[replica]}"
    }
    assert {key: system.clouds.read(replica, key) for key in world.documents} == before


def test_a_corrupt_document_stays_where_nobody_else_has_it(system: ManualSystem, replica: str) -> None:
    world = system.world(replica, os.urandom(1000))
    key = f"files/{world.file}"
    before = system.clouds.read(replica, key)
    system.overwrite(replica, key, b"{}")

    assert "no other replica" in unrepaired(system.dss)[replica, key]

    assert system.clouds.read(replica, key) == b"{}"
    system.overwrite(replica, key, before)


def test_what_the_catalog_has_forgotten_is_dark_and_taken_in(system: ManualSystem, world: World) -> None:
    answers = [_answers(system, name, world) for name in REPLICAS]
    system.delete_document("files", str(world.file))
    for bundle in (world.seen, world.one_hidden, world.all_hidden):
        system.delete_document("bundles", str(bundle))
    for name in (world.one_hidden, world.all_hidden, world.all_hidden.uuid):
        system.delete_document("bundle_tombstones", str(name))
    system.delete_document("hidden_bundles", world.all_hidden.uuid)
    for collection in (world.collection, world.all_gone):
        system.delete_document("collections", str(collection))
        system.delete_document("owned_collections", collection.uuid)
    system.delete_document("collection_tombstones", world.all_gone.uuid)

    assert audit_problems(system.dss) == sorted(
        (Problem.DARK, name, key) for name in REPLICAS for key in world.keys
    )
    outcomes = audit_and_repair(system.dss)

    # What the first replica's manifests say was in the catalog when the blobs' turn came.
    assert {outcome.finding.key for outcome in outcomes if outcome.done} == set(world.documents)
    assert [outcome for outcome in outcomes if outcome.left] == []
    assert [_answers(system, name, world) for name in REPLICAS] == answers


def _answers(system: ManualSystem, replica: str, world: World) -> list[tuple[int, Any]]:
    answers = []
    for bundle in (world.seen, world.one_hidden, world.all_hidden):
        answer = system.api.get(f"/v1/bundles/{bundle.uuid}", replica=replica)
        answers.append((answer.status_code, answer.json()))
    for collection in (world.collection, world.all_gone):
        answer = system.api.get(f"/v1/collections/{collection.uuid}", replica=replica)
        answers.append((answer.status_code, answer.json()))
    answer = system.api.head(f"/v1/files/{world.file.uuid}", replica=replica)
    kept = {name: value for name, value in answer.headers.items() if name.startswith("X-DSS")}
    return [*answers, (answer.status_code, kept)]


def test_a_manifest_whose_writer_was_killed_before_the_last_step_is_taken_in(
    system: ManualSystem, replica: str
) -> None:
    world = system.world(replica, os.urandom(1000))
    heads = system.dss.catalog.database.client.collection("bundles")
    heads.document(str(world.seen)).update({"available": [], "missing": list(REPLICAS)})

    assert audit_problems(system.dss) == [(Problem.DARK, replica, f"bundles/{world.seen}")]
    [outcome] = audit_and_repair(system.dss)

    assert outcome.done == "taken into the catalog"
    assert system.api.get(f"/v1/bundles/{world.seen.uuid}", replica=replica).status_code == 200


def test_pages_that_the_catalog_has_lost_are_written_again(
    system: ManualSystem, world: World, replica: str
) -> None:
    before = _answers(system, replica, world)
    system.delete_document("bundles", f"{world.seen}/pages/00000")
    system.delete_document("collections", f"{world.collection}/pages/00000")
    keys = (f"bundles/{world.seen}", f"collections/{world.collection}")

    for key in keys:
        # A wrong answer would be one without them; and to ask again in ten seconds is of no use.
        answer = system.api.get(f"/v1/{key.partition('.')[0]}", replica=replica)
        assert_problem(answer, 503, "service_unavailable", key, "page 0")
        assert answer.headers["Retry-After"] == "600"
    assert audit_problems(system.dss) == sorted(
        (Problem.BROKEN, name, key) for name in REPLICAS for key in keys
    )
    outcomes = audit_and_repair(system.dss)

    written = [one.finding.key for one in outcomes if "from the manifest on " in one.done]
    assert set(written) == set(keys)
    assert _answers(system, replica, world) == before


def test_a_blob_that_no_file_names_is_reported_and_left(system: ManualSystem, replica: str) -> None:
    content = f"orphan on {replica}".encode()
    key = checksums_of(content).blob_key
    system.overwrite(replica, key, content)

    assert audit_problems(system.dss) == [(Problem.DARK, replica, key)]
    assert unrepaired(system.dss) == {(replica, key): "nothing tells what it is for"}

    assert system.clouds.read(replica, key) == content
    put_file(system.api, system.clouds.stage(replica, content))


def test_forged_manifests_are_left_and_leave_no_trace(
    system: ManualSystem, world: World, replica: str
) -> None:
    genuine = system.clouds.read(replica, f"files/{world.file}")
    bundle = system.clouds.read(replica, f"bundles/{world.seen}")
    collection = system.clouds.read(replica, f"collections/{world.collection}")
    stolen = Version(world.collection.uuid, now())
    fqids = [str(Version(new_uuid(), now())) for _ in range(11)]
    version = world.file.version.encode()
    forged = {
        f"files/{fqids[0]}": b"no JSON",
        f"files/{fqids[1]}": b'{"creator_uid": 1}',
        f"files/{fqids[2]}": genuine,
        f"files/{fqids[3]}": genuine.replace(version, fqids[3][37:].encode()).replace(b"1000", b"1001"),
        f"bundles/{fqids[4]}": _of_version(bundle, world.seen, fqids[4]).replace(
            world.file.uuid.encode(), new_uuid().encode()
        ),
        f"bundles/{fqids[6]}": _of_version(bundle, world.seen, fqids[6]).replace(b"1000", b"1001"),
        f"bundles/{fqids[5]}.dead": system.clouds.read(replica, world.tombstones[0]),
        f"collections/{fqids[7]}": b"{}",
        f"collections/{fqids[8]}": collection,
        f"collections/{fqids[9]}": _of_version(collection, world.collection, fqids[9]).replace(
            world.file.uuid.encode(), new_uuid().encode()
        ),
        f"collections/{fqids[10]}": _of_version(collection, world.collection, fqids[10]).replace(
            b'"type":"file"', b'"type":"piece"'
        ),
        f"collections/{stolen}": _of_version(collection, world.collection, str(stolen)).replace(
            b"writer@", b"thief@"
        ),
        f"collections/{world.collection.uuid}.dead": b'{"email":"a","owner":"thief"}',
        f"collections/{new_uuid()}.dead": b'{"email":"a","owner":"b"}',
        f"collections/{world.collection}.dead": b"{}",
        f"files/{world.file.uuid}": b"{}",
        f"files/{world.file}.dead": b"{}",
        f"files/{world.file}~": b"{}",
        f"bundles/{world.file.uuid.upper()}.dead": b"{}",
    }
    for key, content in forged.items():
        system.overwrite(replica, key, content)

    reasons = unrepaired(system.dss)

    assert set(reasons) == {(replica, key) for key in forged}
    assert "not as the system writes it" in reasons[replica, f"files/{fqids[2]}"]
    assert "1001 bytes are claimed" in reasons[replica, f"files/{fqids[3]}"]
    assert "the bundle that it hides is not known" in reasons[replica, f"bundles/{fqids[5]}.dead"]
    assert "of it is not here" in reasons[replica, f"bundles/{fqids[4]}"]
    assert "of it has other content" in reasons[replica, f"bundles/{fqids[6]}"]
    assert "not as the system writes it" in reasons[replica, f"collections/{fqids[8]}"]
    assert "of it is not here" in reasons[replica, f"collections/{fqids[9]}"]
    assert "path: missing" in reasons[replica, f"collections/{fqids[10]}"]
    assert "another owner" in reasons[replica, f"collections/{stolen}"]
    assert "another owner" in reasons[replica, f"collections/{world.collection.uuid}.dead"]
    assert "no such name" in reasons[replica, f"collections/{world.collection}.dead"]
    assert "no such name" in reasons[replica, f"files/{world.file}~"]
    client = system.dss.catalog.database.client
    for kind in ("files", "bundles", "bundle_tombstones", "collections"):
        names = [*fqids, str(stolen)]
        assert not any(client.collection(kind).document(name).get().exists for name in names)
    for key in forged:
        system.remove(replica, key)


def _of_version(manifest: bytes, bundle: Version, fqid: str) -> bytes:
    return manifest.replace(bundle.version.encode(), fqid[37:].encode())


def test_objects_where_the_system_puts_nothing_are_reported_and_left(
    system: ManualSystem, replica: str
) -> None:
    keys = ["0", "blob", "blobs0", "collections/x", "filesystem/a", "zoo/é"]
    for key in keys:
        system.overwrite(replica, key, b"?")

    assert set(unrepaired(system.dss)) == {(replica, key) for key in keys}

    for key in keys:
        assert system.clouds.read(replica, key) == b"?"
        system.remove(replica, key)
