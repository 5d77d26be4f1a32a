"""What it costs to publish the event of a bundle: requests of object stores and of Firestore."""

import json
from collections.abc import Iterator

import pytest

from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.metered_function import Metered, metered
from tests.support.replication import object_event_attributes, replicate_keys
from tests.support.topic_listener import TopicListener

JSON_FILES = 15


@pytest.fixture(scope="module")
def index(stack: dict[str, str], listener: TopicListener) -> Iterator[Metered]:  # noqa: ARG001 # its topic
    """The function; the topic that it publishes to exists."""
    with metered("index", stack) as running:
        yield running


def with_json_files(api: Api, clouds: Clouds, replica: str) -> tuple[Version, list[str]]:
    """PUT a bundle, and return it and the keys of its objects, in the order in which they are replicated."""
    sources = [
        clouds.stage(replica, json.dumps({"number": n}).encode(), content_type="application/json")
        for n in range(JSON_FILES)
    ]
    files = [put_file(api, each) for each in sources]
    items = [each.named(f"file_{n}.json", indexed=True) for n, each in enumerate(files)]
    bundle = put_bundle(api, replica, items)
    return bundle, [*(f"files/{each}" for each in files), f"bundles/{bundle}"]


@pytest.mark.parametrize("here", REPLICAS)
def test_a_bundle_of_many_json_files_is_read_once(
    stack: dict[str, str], index: Metered, api: Api, clouds: Clouds, here: str
) -> None:
    [there] = set(REPLICAS) - {here}
    warm_up, _ = with_json_files(api, clouds, here)
    index.cost_of(object_event_attributes(clouds, here, f"bundles/{warm_up}"))
    bundle, keys = with_json_files(api, clouds, here)

    first = index.cost_of(object_event_attributes(clouds, here, f"bundles/{bundle}"))
    replicate_keys(open_dss_for_threads(stack), here, *keys)
    second = index.cost_of(object_event_attributes(clouds, there, f"bundles/{bundle}"))

    # The manifest, each file, the document, and that it is published. Of Firestore: the head, before and
    # after, the log, and two commits.
    assert first == {here: 1 + JSON_FILES + 2, there: 0, "firestore": 5}
    # The document, there and here, and that it is published. Of Firestore also the event there.
    assert second == {here: 1, there: 2, "firestore": 6}
    assert clouds.read(here, f"documents/{bundle}") == clouds.read(there, f"documents/{bundle}")


def test_a_document_of_another_replica_that_is_not_the_published_one_is_not_used(
    stack: dict[str, str], index: Metered, api: Api, clouds: Clouds
) -> None:
    bundle, keys = with_json_files(api, clouds, "gcp")
    index.cost_of(object_event_attributes(clouds, "gcp", f"bundles/{bundle}"))
    document = clouds.read("gcp", f"documents/{bundle}")
    here = {"bucket": clouds.main["gcp"], "key": f"documents/{bundle}"}
    replicate_keys(open_dss_for_threads(stack), "gcp", *keys)

    clouds.stage("gcp", document + b" ", **here)
    try:
        cost = index.cost_of(object_event_attributes(clouds, "aws", f"bundles/{bundle}"))
    finally:
        # Other tests compact the journal of this stack, which would find that the document is damaged.
        clouds.stage("gcp", document, **here)

    assert cost["aws"] == 1 + JSON_FILES + 2
    assert clouds.read("aws", f"documents/{bundle}") == document
