"""`explore`, as a process: bundles come into catalogues by events and changes, and what fails is listed."""

import json
from collections.abc import Iterator

import pytest

from shared.explore.base import FAILED, INDEXED
from shared.explore.settings import CatalogueSetting
from shared.messages import DEAD_LETTERS, BundleChange
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, now
from tests.support.catalogues import BAD, GOOD, Shelf, new_setting, put_files, setting_value, with_catalogues
from tests.support.clouds import Clouds
from tests.support.function_process import FunctionProcess, function_process
from tests.support.replication import object_event_attributes
from tests.support.topic_listener import TopicListener, listen_to


@pytest.fixture(scope="module")
def setting() -> CatalogueSetting:
    return new_setting()


@pytest.fixture(scope="module")
def letters(stack: dict[str, str]) -> Iterator[TopicListener]:
    """Receives dead letters."""
    with listen_to(stack, DEAD_LETTERS) as found:
        yield found


@pytest.fixture(scope="module")
def explore(
    stack: dict[str, str], setting: CatalogueSetting, letters: TopicListener
) -> Iterator[FunctionProcess]:
    """The function, for one catalogue."""
    assert letters.attributes == []
    with function_process("explore", stack, DSS_CATALOGUES=setting_value(setting)) as process:
        yield process


@pytest.fixture
def shelf(dss: Dss, setting: CatalogueSetting) -> Iterator[Shelf]:
    with with_catalogues(dss, setting) as changed:
        yield Shelf(changed, setting.name)


def change_of(bundle: Version) -> dict[str, str]:
    return BundleChange(replica="gcp", uuid=bundle.uuid, version=bundle.version).attributes


def test_bundles_come_into_the_catalogue_once_they_are_published(
    explore: FunctionProcess,
    index: FunctionProcess,
    shelf: Shelf,
    setting: CatalogueSetting,
    api: Api,
    clouds: Clouds,
) -> None:
    good, bad = (put_files(api, clouds, setting, files) for files in (GOOD, BAD))
    early = explore.push(change_of(good))
    for bundle in (good, bad):
        event = object_event_attributes(clouds, "gcp", f"bundles/{bundle}")
        assert index.push(event).status_code == 204

    answers = [explore.push(change_of(bundle)).status_code for bundle in (good, bad, good)]
    other = explore.push({**change_of(good), "replica": "aws"})

    assert early.status_code == 503
    assert answers == [204] * 3 and other.status_code == 204
    states = shelf.states()
    assert (states[str(good)], states[str(bad)]) == (INDEXED, FAILED)


def test_what_kills_the_function_is_a_dead_letter_and_is_listed_as_failed(
    explore: FunctionProcess,
    letters: TopicListener,
    shelf: Shelf,
    setting: CatalogueSetting,
    api: Api,
    clouds: Clouds,
) -> None:
    deadly = put_files(api, clouds, setting, GOOD)

    given_up = explore.push(change_of(deadly), killed=True, subscription="explore")
    nowhere = Version(new_uuid(), now())
    unknown = explore.push(change_of(nowhere), killed=True, subscription="explore")

    assert (given_up.status_code, unknown.status_code) == (200, 200)
    assert "was killed" in json.loads(given_up.text)["dead"]
    for bundle in (deadly, nowhere):
        letter = letters.wait(lambda one, uuid=bundle.uuid: one["uuid"] == uuid)
        assert letter["deadSubscription"] == "explore"
    assert "was killed" in shelf.held()[str(deadly)].reason
