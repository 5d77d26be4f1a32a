"""`explore`, as a process: bundles with metadata of the HCA come into the catalogue, once, and leave it."""

import json
from collections.abc import Iterator

import pytest

from shared.explore.base import FAILED
from shared.identifiers import Fqid
from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.catalogue import TestCatalogue, open_catalogue
from tests.support.clouds import Clouds
from tests.support.function_process import FunctionProcess, function_process
from tests.support.hca_sample import HcaBundle, id_of, sequenced
from tests.support.postgresql_server import StoppableServer
from tests.support.replication import object_event_attributes

REPLICA = "gcp"


@pytest.fixture(scope="module")
def catalogue(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    with open_catalogue(postgresql.dsn) as found:
        yield found


@pytest.fixture(scope="module")
def explore(
    stack: dict[str, str], postgresql: StoppableServer, catalogue: TestCatalogue
) -> Iterator[FunctionProcess]:
    """`explore`, which gets only the messages of tests."""
    settings = [{"name": catalogue.catalogue.name, "plugin": "hca"}]
    more = {"DSS_CATALOGUES": json.dumps(settings), "DSS_POSTGRESQL_DSN": postgresql.dsn}
    with function_process("explore", stack, **more) as process:
        yield process


def put(api: Api, clouds: Clouds, sample: HcaBundle) -> Version:
    """PUT an invented bundle, with its data files."""
    files = []
    for name, content in sample.documents.items():
        source = clouds.stage(
            REPLICA, json.dumps(content).encode(), content_type='application/json; dcp-type="metadata"'
        )
        files.append(put_file(api, source).named(name, indexed=True))
    for entry in sample.files:
        files.append(put_file(api, clouds.stage(REPLICA, b"reads")).named(entry["name"]))
    return put_bundle(api, REPLICA, files)


def attributes(bundle: Version) -> dict[str, str]:
    return {"replica": REPLICA, "uuid": bundle.uuid, "version": bundle.version}


def test_a_bundle_is_indexed_once_its_document_is_there_and_gone_once_it_is_deleted(
    api: Api,
    admin: Api,
    clouds: Clouds,
    index: FunctionProcess,
    explore: FunctionProcess,
    catalogue: TestCatalogue,
) -> None:
    bundle = put(api, clouds, sequenced("e1", specimen="e-specimen"))
    # The message has come before the document.
    assert explore.push(attributes(bundle)).status_code == 503
    assert catalogue.document("bundles", bundle.uuid) is None
    index.push(object_event_attributes(clouds, REPLICA, f"bundles/{bundle}"))

    for _ in range(2):
        answer = explore.push(attributes(bundle))
        assert answer.status_code == 204, answer.text

    [shown] = catalogue.document("bundles", bundle.uuid)["bundles"]
    assert shown == {"uuid": bundle.uuid, "version": bundle.version}
    assert catalogue.document("samples", id_of("e-specimen"))["cell_count"] == 100
    [file] = catalogue.document("files", id_of("e1_1.fastq"))["contents"]["files"]
    assert (file["name"], file["size"]) == ("e1_1.fastq", 5)
    path = f"/v1/bundles/{bundle.uuid}"
    answer = admin.delete(path, replica=REPLICA, version=bundle.version, json={"reason": "wrong"})
    assert answer.status_code == 200
    for _ in range(2):
        assert explore.push(attributes(bundle)).status_code == 204
    assert catalogue.document("bundles", bundle.uuid) is None
    assert catalogue.document("samples", id_of("e-specimen")) is None


def test_a_bad_bundle_fails_alone_with_the_reason(
    api: Api,
    clouds: Clouds,
    index: FunctionProcess,
    explore: FunctionProcess,
    catalogue: TestCatalogue,
) -> None:
    sample = sequenced("e2", specimen="\0 in it")
    bundle = put(api, clouds, sample)
    index.push(object_event_attributes(clouds, REPLICA, f"bundles/{bundle}"))

    answer = explore.push(attributes(bundle))

    assert answer.status_code == 204, answer.text
    state = catalogue.store.state(catalogue.catalogue, Fqid(bundle.uuid, bundle.version))
    assert state
    assert state.state == FAILED
    assert state.reason == (
        "donor_organism_0.json: biomaterial_core.biomaterial_id: must not contain a null character"
    )


def test_a_message_that_names_no_bundle_is_retried(explore: FunctionProcess) -> None:
    answer = explore.push({"replica": REPLICA})

    # Retried until it is a dead letter, as with all functions.
    assert answer.status_code == 503
    assert "uuid" in answer.text
