"""A name, once it means something, never means anything else: to no process, on no replica, at no time.

The writers ask different API processes, which share nothing but the clouds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from local.api import api_process
from tests.support.api import Api, Version, new_uuid, now, put_file
from tests.support.clouds import REPLICAS, Clouds
from tests.support.concurrent_calls import ConcurrentCalls

# Were a name looked for and then written, two of five of the trials of two writers would see it of files, and
# nine of ten of bundles: one run in 200,000 would not notice.
TRIALS = 24
# Every one of eight contents meets every process.
TURNS = 8


@dataclass(frozen=True)
class Content:
    """What a writer wants a name to mean on a replica; `url` is a source object, `file` a file made of it."""

    replica: str
    url: str
    sha256: str
    file: Version


@pytest.fixture(scope="module")
def processes(stack: dict[str, str]) -> Iterator[list[str]]:
    """The URLs of two API processes, with a catalog of their own: they fill it with names by the thousand."""
    env = {**stack, "GOOGLE_CLOUD_PROJECT": "dss-names"}
    with api_process(env) as one, api_process(env) as other:
        yield [one.url, other.url]
        one.kill()
        other.kill()


@pytest.fixture(scope="module")
def api(stack: dict[str, str], processes: list[str]) -> Api:
    """One of the two, asked by somebody who may write."""
    return Api(processes[0], stack["DSS_TOKEN"])


@pytest.fixture(scope="module")
def contents(api: Api, clouds: Clouds) -> dict[str, list[Content]]:
    """Four different contents on each replica."""

    def content(replica: str, number: int) -> Content:
        url = clouds.stage(replica, f"content {number} of {replica}".encode())
        file = put_file(api, url)
        answer = api.head(f"/v1/files/{file.uuid}", replica=replica)
        return Content(replica, url, answer.headers["X-DSS-SHA256"], file)

    return {replica: [content(replica, number) for number in range(4)] for replica in REPLICAS}


class Writer:
    """Somebody with a connection of their own to one process, who writes files and bundles."""

    def __init__(self, url: str, env: dict[str, str]) -> None:
        self.api = Api(url, env["DSS_TOKEN"])

    def put(self, kind: str, name: Version, content: Content) -> int:
        """Let a name of a file, or of a bundle of one file, mean this content; return the status."""
        if kind == "file":
            body: dict[str, Any] = {"source_url": content.url, "creator_uid": 1}
            answer = self.api.put(f"/v1/files/{name.uuid}", version=name.version, json=body)
        else:
            body = {"files": [content.file.named("name")], "creator_uid": 1}
            path = f"/v1/bundles/{name.uuid}"
            answer = self.api.put(path, replica=content.replica, version=name.version, json=body)
        return answer.status_code

    def content(self, kind: str, name: Version, replica: str) -> str | None:
        """Return the sha256 of what a name means on a replica; None for nothing."""
        answer = self.api.get(f"/v1/{kind}s/{name.uuid}", replica=replica, version=name.version)
        if answer.status_code == 404:
            return None
        if kind == "file":
            return answer.headers["X-DSS-SHA256"]
        (file,) = answer.json()["bundle"]["files"]
        return str(file["sha256"])


@pytest.fixture(scope="module")
def writers(stack: dict[str, str], processes: list[str]) -> list[Writer]:
    """Eight writers; neighbours ask different processes."""
    return [Writer(processes[number % 2], stack) for number in range(8)]


@pytest.mark.parametrize("kind", ["file", "bundle"])
def test_of_two_contents_one_has_the_name_on_all_replicas_and_processes(
    writers: list[Writer], contents: dict[str, list[Content]], kind: str
) -> None:
    pair = contents["gcp"][0], contents["aws"][0]

    with ConcurrentCalls(2) as concurrently:
        for trial in range(TRIALS):
            name = Version(new_uuid(), now())
            one, other = writers[trial % 2], writers[1 - trial % 2]

            statuses = concurrently(
                *[
                    partial(writer.put, kind, name, content)
                    for writer, content in zip((one, other), pair, strict=True)
                ]
            )

            assert sorted(statuses) == [201, 409], f"trial {trial}"
            winner = pair[statuses.index(201)]
            for writer in (one, other):
                seen = {replica: writer.content(kind, name, replica) for replica in REPLICAS}
                assert seen == {**dict.fromkeys(REPLICAS), winner.replica: winner.sha256}, f"trial {trial}"


@pytest.mark.parametrize("kind", ["file", "bundle"])
def test_of_eight_contents_one_has_the_name(
    writers: list[Writer], contents: dict[str, list[Content]], kind: str
) -> None:
    eight = [*contents["gcp"], *contents["aws"]]

    with ConcurrentCalls(8) as concurrently:
        for trial in range(TURNS):
            name = Version(new_uuid(), now())
            # Turned by one each time, so that every content meets every process.
            turned = [*eight[trial % 8 :], *eight[: trial % 8]]

            statuses = concurrently(
                *[
                    partial(writer.put, kind, name, content)
                    for writer, content in zip(writers, turned, strict=True)
                ]
            )

            assert sorted(statuses) == [201, *[409] * 7], f"trial {trial}"
            winner = turned[statuses.index(201)]
            for writer in writers[:2]:
                assert writer.content(kind, name, winner.replica) == winner.sha256


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("kind", ["file", "bundle"])
def test_the_same_content_is_new_to_one_writer_and_there_for_the_others(
    writers: list[Writer], contents: dict[str, list[Content]], kind: str, count: int, replica: str
) -> None:
    content = contents[replica][0]

    with ConcurrentCalls(count) as concurrently:
        for trial in range(TURNS):
            name = Version(new_uuid(), now())

            statuses = concurrently(*[partial(writer.put, kind, name, content) for writer in writers[:count]])

            assert sorted(statuses) == [*[200] * (count - 1), 201], f"trial {trial}"
            for writer in writers[:2]:
                assert writer.content(kind, name, replica) == content.sha256


def test_one_content_written_to_both_replicas_at_once_is_one_file(
    writers: list[Writer], api: Api, clouds: Clouds
) -> None:
    data = new_uuid().encode()
    urls = [clouds.stage(replica, data) for replica in REPLICAS]
    sha256 = api.head(f"/v1/files/{put_file(api, urls[0]).uuid}", replica="gcp").headers["X-DSS-SHA256"]
    nothing = Version(new_uuid(), now())
    same = [Content(replica, url, sha256, nothing) for replica, url in zip(REPLICAS, urls, strict=True)]

    with ConcurrentCalls(2) as concurrently:
        for trial in range(TURNS):
            name = Version(new_uuid(), now())

            statuses = concurrently(
                partial(writers[0].put, "file", name, same[0]), partial(writers[1].put, "file", name, same[1])
            )

            assert sorted(statuses) == [200, 201], f"trial {trial}"
            assert {
                writer.content("file", name, replica) for writer in writers[:2] for replica in REPLICAS
            } == {sha256}


@pytest.mark.parametrize("kind", ["file", "bundle"])
def test_a_manifest_once_there_is_never_written_again(
    writers: list[Writer], contents: dict[str, list[Content]], clouds: Clouds, kind: str, replica: str
) -> None:
    name, there = Version(new_uuid(), now()), b"what an operator put there by hand"
    clouds.stage(replica, there, bucket=clouds.main[replica], key=f"{kind}s/{name}")

    for _ in range(2):
        writers[0].put(kind, name, contents[replica][0])

    assert clouds.read(replica, f"{kind}s/{name}") == there


def test_a_blob_once_there_is_never_written_again(
    writers: list[Writer], contents: dict[str, list[Content]], clouds: Clouds, replica: str
) -> None:
    content = contents[replica][0]
    (key,) = clouds.keys(replica, f"blobs/{content.sha256}")
    before = revision(clouds, replica, key)

    assert writers[0].put("file", Version(new_uuid(), now()), content) == 201

    assert revision(clouds, replica, key) == before


def revision(clouds: Clouds, replica: str, key: str) -> object:
    """Return what changes when an object is written, though it be with the same content."""
    if replica == "gcp":
        return clouds.gcs.bucket(clouds.main["gcp"]).get_blob(key).generation
    return clouds.s3.head_object(Bucket=clouds.main["aws"], Key=key)["LastModified"]


def test_one_of_many_owners_gets_a_new_collection(processes: list[str], stack: dict[str, str]) -> None:
    """Two people, each with two versions of one UUID, in different processes."""
    people = {name: [Api(url, stack[name]) for url in processes] for name in ("DSS_TOKEN", "DSS_TOKEN2")}
    wanted = [(name, api) for name, apis in people.items() for api in apis]

    def put(api: Api, uuid: str, version: str, text: str) -> int:
        body = {"name": text, "description": "", "details": {}, "contents": []}
        query = {"uuid": uuid, "version": version, "replica": "gcp"}
        return api.put("/v1/collections", json=body, **query).status_code

    with ConcurrentCalls(len(wanted)) as concurrently:
        for trial in range(TURNS):
            uuid = new_uuid()
            versions = [now() for _ in wanted] if trial % 2 else [now()] * len(wanted)
            calls = [
                partial(put, api, uuid, version, f"{name} {number}")
                for number, ((name, api), version) in enumerate(zip(wanted, versions, strict=True))
            ]

            statuses = concurrently(*calls)

            made = [number for number, status in enumerate(statuses) if status == 201]
            assert set(statuses) <= {201, 403, 409}
            (owner,) = {wanted[number][0] for number in made}
            # Each of the owner's versions, where they differ; one content, where there is one version.
            assert len(made) == (2 if trial % 2 else 1)
            for name, apis in people.items():
                seen = apis[0].get(f"/v1/collections/{uuid}", replica="gcp", version=versions[made[0]])
                assert seen.status_code == (200 if name == owner else 403)
                assert name != owner or seen.json()["name"] == f"{name} {made[0]}"
