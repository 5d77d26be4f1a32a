"""All processes agree at once on the newest version and on hidden versions."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from threading import Event

import pytest

from local.api import api_process
from tests.support.apart import catalog_apart
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds

# Each process writes once.
ROUNDS = 4


@pytest.fixture(scope="module")
def everyone(stack: dict[str, str]) -> Iterator[list[Api]]:
    """Clients of three APIs: two with one process, and one with two, which gets twice the requests."""
    env = catalog_apart(stack)
    with api_process(env) as one, api_process(env) as other, api_process(env, workers=2) as both:
        urls = [one.url, other.url, both.url, both.url]
        yield [Api(url, stack["DSS_ADMIN_TOKEN"]) for url in urls]
        for process in (one, other, both):
            process.kill()


@pytest.fixture
def file(everyone: list[Api], clouds: Clouds, replica: str) -> Version:
    """A file on the replica."""
    return put_file(everyone[0], clouds.stage(replica, b"content"))


def newest(everyone: list[Api], kind: str, uuid: str, replica: str) -> set[str]:
    """Return the newest version by each process; 404 if a process finds none."""
    found = set()
    for api in everyone:
        if kind == "files":
            answer = api.head(f"/v1/files/{uuid}", replica=replica)
            found.add(answer.headers.get("X-DSS-VERSION", str(answer.status_code)))
        else:
            answer = api.get(f"/v1/bundles/{uuid}", replica=replica)
            found.add(answer.json()["bundle"]["version"] if answer.ok else str(answer.status_code))
    return found


@pytest.mark.parametrize("kind", ["files", "bundles"])
def test_every_process_answers_a_newer_version_at_once(
    everyone: list[Api], clouds: Clouds, replica: str, kind: str
) -> None:
    uuid, source = new_uuid(), clouds.stage(replica, b"content")

    for writer in islice(cycle(everyone), ROUNDS):
        version = Version(uuid, now())
        if kind == "files":
            put_file(writer, source, file=version)
        else:
            put_bundle(writer, replica, [], bundle=version)

        assert newest(everyone, kind, uuid, replica) == {version.version}


def test_every_process_hides_a_deleted_version_at_once(
    everyone: list[Api], file: Version, replica: str
) -> None:
    uuid = new_uuid()
    versions = [Version(uuid, now()) for _ in range(ROUNDS)]
    for version in versions:
        put_bundle(everyone[0], replica, [file.named("name")], bundle=version)

    for writer, version in zip(cycle(everyone), reversed(versions)):
        delete(writer, version, replica)

        older = [one.version for one in versions if one.version < version.version]
        assert newest(everyone, "bundles", uuid, replica) == {max(older, default="404")}
        assert {status_of(api, version, replica) for api in everyone} == {404}
        assert [listed(api, uuid, replica) for api in everyone] == [older] * len(everyone)


def test_every_process_hides_a_deleted_bundle_at_once(
    everyone: list[Api], file: Version, replica: str
) -> None:
    for writer in islice(cycle(everyone), ROUNDS):
        bundle = put_bundle(writer, replica, [file.named("name")])

        delete(writer, bundle, replica, whole=True)

        assert newest(everyone, "bundles", bundle.uuid, replica) == {"404"}
        assert {status_of(api, bundle, replica) for api in everyone} == {404}
        assert [listed(api, bundle.uuid, replica) for api in everyone] == [[]] * len(everyone)


@dataclass(frozen=True)
class Look:
    """An answer to a reader, and the moments before and after it."""

    began: float
    ended: float
    status: int


def test_all_versions_of_a_deleted_bundle_are_hidden_at_one_moment(everyone: list[Api], replica: str) -> None:
    uuid = new_uuid()
    versions = [put_bundle(everyone[0], replica, [], bundle=Version(uuid, now())) for _ in range(8)]
    deleted = Event()

    def look(url: str) -> list[Look]:
        reader, looks = Api(url), []
        for version in cycle(versions):
            began = time.monotonic()
            status = status_of(reader, version, replica)
            looks.append(Look(began, time.monotonic(), status))
            if deleted.is_set() and len(looks) % len(versions) == 0:
                return looks
        return looks

    with ThreadPoolExecutor() as threads:
        readers = [threads.submit(look, api.url) for api in everyone]
        await_looks(everyone, versions, replica)
        delete(everyone[0], versions[0], replica, whole=True)
        deleted.set()
        looks = [one for reader in readers for one in reader.result()]

    assert {one.status for one in looks} == {200, 404}
    first_gone = min(one.ended for one in looks if one.status == 404)
    last_there = max(one.began for one in looks if one.status == 200)
    assert last_there < first_gone, "a version was there after another had gone"


def await_looks(everyone: list[Api], versions: list[Version], replica: str) -> None:
    """Wait until every process has answered for every version."""
    for api in everyone:
        assert {status_of(api, version, replica) for version in versions} == {200}


def test_versions_written_while_their_bundle_is_deleted_never_stay_visible(
    everyone: list[Api], replica: str
) -> None:
    for _ in range(2):
        uuid = new_uuid()
        written = [put_bundle(everyone[0], replica, [], bundle=Version(uuid, now()))]

        def write(somebody: Api, uuid: str = uuid) -> list[Version]:
            # With a connection of their own.
            writer, versions = somebody.signed_in(somebody.token), []
            while True:
                bundle = Version(uuid, now())
                body = {"files": [], "creator_uid": 1}
                answer = writer.put(f"/v1/bundles/{uuid}", replica=replica, version=bundle.version, json=body)
                if answer.status_code == 409:
                    assert_problem(answer, 409, "bundle_tombstone_already_exists", uuid)
                    return versions
                # Before the deletion, or at the same time.
                assert answer.status_code == 201, answer.text
                assert len(versions) < 10_000, "the deletion never takes effect"
                versions.append(bundle)

        with ThreadPoolExecutor() as threads:
            writers = [threads.submit(write, api) for api in everyone]
            while len(listed(everyone[0], uuid, replica)) < 10:
                assert not any(writer.done() for writer in writers), "a writer has failed"
            delete(everyone[0], written[0], replica, whole=True)
            written += [version for writer in writers for version in writer.result()]

        assert {status_of(api, version, replica) for api in everyone for version in written} == {404}
        assert newest(everyone, "bundles", uuid, replica) == {"404"}
        assert [listed(api, uuid, replica) for api in everyone] == [[]] * len(everyone)


def delete(admin: Api, bundle: Version, replica: str, *, whole: bool = False) -> None:
    """Delete a version of a bundle, or all of it."""
    version = None if whole else bundle.version
    reason = {"reason": "to see it gone"}
    answer = admin.delete(f"/v1/bundles/{bundle.uuid}", replica=replica, version=version, json=reason)
    assert answer.status_code == 200, answer.text


def status_of(api: Api, bundle: Version, replica: str) -> int:
    """Return the status of a GET of a version."""
    return api.get(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version).status_code


def listed(api: Api, uuid: str, replica: str) -> list[str]:
    """Return the versions of a bundle that enumeration lists."""
    pages = api.pages("/v1/bundles/all", replica=replica, prefix=uuid)
    return [bundle["version"] for page in pages for bundle in page.json()["bundles"]]
