"""DSS_DEFAULT_ACCESS: who reads what is bound to nobody, and whom the refusals name as contact."""

from collections.abc import Iterator

import pytest

from local.api import api_process
from local.issuer.client import request_token
from shared.system import Dss
from tests.support.access_world import bind
from tests.support.api import (
    Api,
    Version,
    assert_problem,
    new_uuid,
    now,
    put_bundle,
    put_collection,
    put_file,
)
from tests.support.clouds import Clouds

LAB, GROUP = "a-lab", "another-group"
CONTACT = "data-access@example.org"
# Who asks: a stranger, somebody with no group, and a member of each of these groups.
ASKING = (None, (), (LAB,), (GROUP,))


@pytest.fixture(scope="module", params=["signed-in", LAB])
def strict(request: pytest.FixtureRequest, stack: dict[str, str]) -> Iterator[tuple[str, Api]]:
    """Whom unbound data are for, and an API with that setting."""
    settings = {"DSS_DEFAULT_ACCESS": request.param, "DSS_ACCESS_CONTACT": CONTACT}
    with api_process(stack, settings) as process:
        yield request.param, Api(process.url)


@pytest.fixture(scope="module")
def files(api: Api, clouds: Clouds, dss: Dss) -> dict[str, Version]:
    """A file for each binding."""
    made = {
        name: put_file(api, clouds.stage("gcp", name.encode())) for name in ("unbound", "public", "managed")
    }
    bind(dss, made["public"].uuid, readers=frozenset(("public",)))
    bind(dss, made["managed"].uuid, readers=frozenset((GROUP,)))
    return made


@pytest.fixture(scope="module")
def bundles(admin: Api, files: dict[str, Version], dss: Dss) -> dict[str, Version]:
    """A bundle for each binding, of the file with the same."""
    made = {name: put_bundle(admin, "gcp", [file.named("file")]) for name, file in files.items()}
    bind(dss, made["public"].uuid, readers=frozenset(("public",)))
    bind(dss, made["managed"].uuid, readers=frozenset((GROUP,)))
    return made


@pytest.fixture(scope="module")
def clients(strict: tuple[str, Api], stack: dict[str, str]) -> list[Api]:
    """Those who ask."""
    emails = (f"{new_uuid()}@example.org" for _ in ASKING)
    tokens = [
        None if groups is None else request_token(stack, email, groups)
        for email, groups in zip(emails, ASKING, strict=True)
    ]
    return [strict[1].signed_in(token) for token in tokens]


# The status for each of ASKING.
STATUSES = {
    "signed-in": {"unbound": (401, 200, 200, 200), "public": (200,) * 4, "managed": (401, 403, 403, 200)},
    LAB: {"unbound": (401, 403, 200, 403), "public": (200,) * 4, "managed": (401, 403, 403, 200)},
}


def test_unbound_data_are_for_these_only_and_public_ones_for_all(
    strict: tuple[str, Api], clients: list[Api], files: dict[str, Version], bundles: dict[str, Version]
) -> None:
    def statuses(path: str, **query: str) -> tuple[int, ...]:
        return tuple(client.head(path, replica="gcp", **query).status_code for client in clients)

    expected = STATUSES[strict[0]]
    assert {name: statuses(f"/v1/files/{file.uuid}") for name, file in files.items()} == expected
    for query in ({}, {"presignedurls": "true"}):
        seen = {name: statuses(f"/v1/bundles/{one.uuid}", **query) for name, one in bundles.items()}
        assert seen == expected
    events = {name: statuses(f"/v1/events/{one.uuid}", version=one.version) for name, one in bundles.items()}
    assert events == expected


def test_a_list_has_what_its_caller_may_read(
    strict: tuple[str, Api], clients: list[Api], bundles: dict[str, Version]
) -> None:
    def listed(client: Api, bundle: Version) -> int:
        answer = client.get("/v1/bundles/all", replica="gcp", prefix=bundle.uuid).json()
        return len(answer["bundles"])

    seen = {name: tuple(listed(client, bundle) for client in clients) for name, bundle in bundles.items()}

    assert seen == {
        name: tuple(int(status == 200) for status in statuses)
        for name, statuses in STATUSES[strict[0]].items()
    }


def test_who_is_refused_learns_whom_to_ask(clients: list[Api], files: dict[str, Version]) -> None:
    stranger, nobody, *_ = clients
    file = files["managed"]
    path = f"/v1/files/{file.uuid}"

    assert_problem(stranger.get(path, replica="gcp"), 401, "Unauthorized", file.uuid, CONTACT)
    assert_problem(nobody.get(path, replica="gcp"), 403, "Forbidden", file.uuid, CONTACT)
    assert stranger.get(path, replica="gcp").headers["WWW-Authenticate"] == "Bearer"


def test_a_writer_who_does_not_read_by_default_has_own_subscriptions_and_collections(
    strict: tuple[str, Api], stack: dict[str, str], clouds: Clouds
) -> None:
    default, api = strict
    writer = api.signed_in(request_token(stack, f"{new_uuid()}@example.org", "dss"))
    subscription = {"callback_url": "https://subscriber.example.org/hook", "query": {"match_all": {}}}

    made = writer.put("/v1/subscriptions", replica="gcp", json=subscription)
    collection = put_collection(writer, "gcp", [])
    put_collection(writer, "gcp", [], collection=Version(collection.uuid, now()))
    answer = writer.put(
        f"/v1/files/{new_uuid()}",
        version=now(),
        json={"source_url": clouds.stage("gcp", b"new"), "creator_uid": 1},
    )

    assert made.status_code == 201, made.text
    assert writer.delete(f"/v1/subscriptions/{made.json()['uuid']}", replica="gcp").status_code == 200
    assert writer.delete(f"/v1/collections/{collection.uuid}", replica="gcp").status_code == 200
    if default == LAB:
        assert_problem(answer, 403, "Forbidden", "file", CONTACT)
    else:
        assert answer.status_code == 201, answer.text
