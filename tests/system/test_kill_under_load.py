"""Writers whose API is killed again and again get all done in the end, and nothing half-done is seen."""

import hashlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Condition, Event
from typing import Any

import pytest
import requests

from local.api import ApiProcess, api_process
from tests.support.api import Api, Version, new_uuid, now
from tests.support.clouds import REPLICAS, Clouds

KILLS, MANY_KILLS = 2, 12
# Answers between two kills, at most: about what the writers get in half a second.
MOST_ANSWERS = 40


@dataclass
class Work:
    """What the writers have been answered, and how often they were not; whether they are to go on."""

    prefix: str
    up: Event = field(default_factory=Event)
    stop: Event = field(default_factory=Event)
    answered: Condition = field(default_factory=Condition)
    answers: int = 0
    lost: int = 0
    written: dict[str, dict[str, list[str]]] = field(default_factory=lambda: {name: {} for name in REPLICAS})

    def until_answered(self, call: Callable[[], requests.Response]) -> requests.Response:
        """Make a call until it is answered."""
        while True:
            assert self.up.wait(timeout=240), "the process did not come back"
            try:
                answer = call()
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                self.lost += 1
                continue
            with self.answered:
                self.answers += 1
                self.answered.notify_all()
            return answer

    def wait_for_answers(self, count: int) -> None:
        """Return after so many answers more."""
        with self.answered:
            wanted = self.answers + count
            assert self.answered.wait_for(lambda: self.answers >= wanted, timeout=240), (
                "the writers stand still"
            )


@pytest.fixture
def process(stack: dict[str, str]) -> Iterator[ApiProcess]:
    """A further API, to be killed."""
    with api_process(stack) as process:
        yield process
        process.kill()


def write(work: Work, api: Api, replica: str, sources: dict[str, str]) -> None:
    """Write bundles of two new files each, every step until it is answered; record their files."""
    while not work.stop.is_set():
        files = []
        for sha256, url in random.sample(sorted(sources.items()), 2):
            file = Version(new_uuid(), now())
            body: dict[str, Any] = {"source_url": url, "creator_uid": 1}
            path, query = f"/v1/files/{file.uuid}", {"version": file.version}
            answer = work.until_answered(lambda: api.put(path, json=body, **query))  # noqa: B023
            assert answer.status_code in (200, 201), answer.text
            files.append(file.named(sha256))
        bundle = Version(work.prefix + new_uuid()[len(work.prefix) :], now())
        body = {"files": files, "creator_uid": 1}
        path, query = f"/v1/bundles/{bundle.uuid}", {"version": bundle.version, "replica": replica}
        answer = work.until_answered(lambda: api.put(path, json=body, **query))  # noqa: B023
        assert answer.status_code in (200, 201), answer.text
        work.written[replica][str(bundle)] = sorted(file["name"] for file in files)


def read_all(api: Api, replica: str, prefix: str) -> dict[str, list[str]]:
    """Return all bundles that are listed, with the hashes of what their files hold: these are their names."""
    seen = {}
    for page in api.pages("/v1/bundles/all", replica=replica, prefix=prefix, per_page=500):
        for bundle in page.json()["bundles"]:
            seen[f"{bundle['uuid']}.{bundle['version']}"] = content_of(api, replica, bundle)
    return seen


def content_of(api: Api, replica: str, bundle: dict[str, str]) -> list[str]:
    """Return the names of a bundle's files, after reading each by every way there is."""
    query = {"replica": replica, "version": bundle["version"], "presignedurls": True}
    answer = api.get(f"/v1/bundles/{bundle['uuid']}", **query)
    assert answer.status_code == 200, answer.text
    files = answer.json()["bundle"]["files"]
    for file in files:
        content = requests.get(file["url"], timeout=60).content
        assert hashlib.sha256(content).hexdigest() == file["sha256"] == file["name"]
        head = api.head(f"/v1/files/{file['uuid']}", replica=replica, version=file["version"])
        assert head.headers.get("X-DSS-SHA256") == file["name"]
    return sorted(file["name"] for file in files)


def stage_some(clouds: Clouds, replica: str) -> dict[str, str]:
    """Return the URLs of some source objects on a replica, by the hashes of what they hold."""
    contents = [f"{replica} {number}".encode() for number in range(8)]
    return {hashlib.sha256(data).hexdigest(): clouds.stage(replica, data) for data in contents}


@pytest.mark.parametrize("kills", [KILLS, pytest.param(MANY_KILLS, marks=pytest.mark.large)])
def test_kills_at_random_moments_leave_nothing_half_done(
    process: ApiProcess, stack: dict[str, str], api: Api, clouds: Clouds, kills: int
) -> None:
    sources = {replica: stage_some(clouds, replica) for replica in REPLICAS}
    work = Work(prefix=new_uuid()[:8])

    def read(replica: str) -> int:
        reader, rounds = Api(api.url), 0
        while not work.stop.is_set():
            assert all(len(names) == 2 for names in read_all(reader, replica, work.prefix).values())
            rounds += 1
        return rounds

    with ThreadPoolExecutor() as threads:
        writers = [
            threads.submit(write, work, Api(process.url, stack["DSS_TOKEN"]), replica, sources[replica])
            for replica in REPLICAS * 2
        ]
        readers = [threads.submit(read, replica) for replica in REPLICAS]
        try:
            kill_again_and_again(process, work, [*writers, *readers], kills)
        finally:
            work.stop.set()
        for writer in writers:
            writer.result()

    assert work.lost > 0, "no kill met a request"
    assert all(reader.result() > 1 for reader in readers)
    for replica in REPLICAS:
        assert read_all(api, replica, work.prefix) == work.written[replica]
        kept = clouds.keys(replica, f"bundles/{work.prefix}")
        assert sorted(kept) == sorted(f"bundles/{name}" for name in work.written[replica])


def kill_again_and_again(process: ApiProcess, work: Work, workers: list[Future[Any]], kills: int) -> None:
    """Kill the process and bring it back, at moments that nobody knows, while all others work."""
    work.up.set()
    for _ in range(kills):
        work.wait_for_answers(random.randint(1, MOST_ANSWERS))
        process.kill()
        work.up.clear()
        process.start()
        work.up.set()
        for worker in workers:
            assert not worker.done(), worker.result()
    work.wait_for_answers(1)
