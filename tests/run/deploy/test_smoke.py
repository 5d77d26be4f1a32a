"""`dss deploy smoke`: an API that works is found so; one that does not is named with what fails."""

from typing import Any

import pytest

from run.deploy.findings import State
from run.deploy.smoke import smoke
from tests.run.deploy.fake_google import FakeGoogle, serving

WORKING: dict[str, tuple[int, dict[str, Any]]] = {
    "version": (200, {"git": {"commit": "3f2a91c"}}),
    "v1/swagger.json": (200, {"paths": {"/files": {}}}),
    "internal/health": (200, {"Healthy": True}),
    "v1/bundles/all": (200, {"bundles": []}),
}


def test_an_api_that_works_is_found_so() -> None:
    with serving(FakeGoogle([], [], [])) as api:
        api.answers = dict(WORKING)
        found = smoke(api.url, version="3f2a91c", seconds=0)

    assert [row.state for row in found] == [State.OK] * 5
    assert {path for path in api.asked if "all" in path} == {
        "v1/bundles/all?replica=gcp&per_page=10",
        "v1/bundles/all?replica=aws&per_page=10",
    }


@pytest.mark.parametrize(
    ("path", "answer", "named"),
    [
        ("version", (200, {"git": {"commit": "0000000"}}), "version"),
        ("v1/swagger.json", (500, {}), "contract"),
        ("internal/health", (503, {"Healthy": False}), "health"),
        ("v1/bundles/all", (403, {}), "list gcp"),
    ],
)
def test_what_does_not_work_is_named(path: str, answer: tuple[int, dict[str, Any]], named: str) -> None:
    with serving(FakeGoogle([], [], [])) as api:
        api.answers = WORKING | {path: answer}
        found = smoke(api.url, version="3f2a91c", seconds=0)

    assert named in {row.check for row in found if row.state is State.WRONG}
    assert all(row.do for row in found if row.state is State.WRONG)


def test_one_that_starts_has_time() -> None:
    with serving(FakeGoogle([], [], [])) as api:
        api.answers = WORKING | {"internal/health": (503, {"Healthy": False})}
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            api.answers = dict(WORKING)

        found = smoke(api.url, version="", seconds=60, sleep=sleep)

    assert len(waits) == 1
    assert all(row.state is State.OK for row in found)
