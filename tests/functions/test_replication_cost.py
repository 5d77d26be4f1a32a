"""What it costs to replicate a file: requests of object stores and of Firestore."""

from collections.abc import Iterator

import pytest

from shared.checksums import MIB
from shared.messages import DEAD_LETTERS
from tests.support.api import Api, Version, new_uuid
from tests.support.clouds import Clouds
from tests.support.copies import distinct_bytes
from tests.support.metered_function import Metered, metered
from tests.support.replication import new_file, object_event_attributes, read_status
from tests.support.topic_listener import listen_to

MANY = 40


@pytest.fixture(scope="module")
def sync(stack: dict[str, str], api: Api, clouds: Clouds) -> Iterator[Metered]:
    """The function, which has opened its connections."""
    with listen_to(stack, DEAD_LETTERS), metered("sync", stack) as running:
        running.cost_of(event_of(api, clouds, b"warm up"))
        yield running


def event_of(api: Api, clouds: Clouds, data: bytes = b"", replica: str = "gcp") -> dict[str, str]:
    """PUT a file; return the event of its manifest."""
    file = new_file(api, clouds, replica, data or new_uuid().encode())
    return object_event_attributes(clouds, replica, f"files/{file}")


def test_a_small_file_takes_three_requests_of_the_stores(sync: Metered, api: Api, clouds: Clouds) -> None:
    # The content; there, the blob and the manifest. Of Firestore: the head, and the commit.
    assert sync.cost_of(event_of(api, clouds)) == {"gcp": 1, "aws": 2, "firestore": 2}


def test_a_file_whose_content_was_handed_on_already_takes_two(
    sync: Metered, api: Api, clouds: Clouds
) -> None:
    # What its blob is, and its manifest.
    assert sync.cost_of(event_of(api, clouds, replica="aws")) == {"gcp": 2, "aws": 0, "firestore": 2}


def test_content_of_several_chunks_is_read_by_the_chunk(sync: Metered, api: Api, clouds: Clouds) -> None:
    event = event_of(api, clouds, distinct_bytes(9 * MIB))

    # There: whether the blob is there, the blob, its proof, and the manifest.
    assert sync.cost_of(event) == {"gcp": 2, "aws": 4, "firestore": 2}


def test_the_event_of_a_copy_takes_one_look(sync: Metered, api: Api, clouds: Clouds) -> None:
    event = event_of(api, clouds)
    sync.cost_of(event)

    echo = object_event_attributes(clouds, "aws", event["objectId"])

    assert sync.cost_of(echo) == {"gcp": 0, "aws": 0, "firestore": 1}


def test_events_that_come_at_once_share_requests_of_firestore(
    sync: Metered, api: Api, clouds: Clouds
) -> None:
    events = [event_of(api, clouds) for _ in range(MANY)]

    cost = sync.cost_of(*events)

    assert (cost["gcp"], cost["aws"]) == (MANY, 2 * MANY)
    # A process of eight threads has eight at once, of which the first goes alone.
    assert cost["firestore"] < 2 * MANY * 3 // 4
    for event in events:
        file = Version(*event["objectId"].removeprefix("files/").split(".", 1))
        assert read_status(api, "files", file, "aws") == 200
