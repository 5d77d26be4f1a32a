"""`dss admin access` and `dss admin group`, as operators run them."""

import getpass
import json
from dataclasses import replace

import pytest

from dss.tokens import claims_of
from shared.bindings import change_binding
from shared.groups import MOST_MEMBERS, add_members, groups_of
from shared.identifiers import group_uuid
from tests.support.api import new_uuid, put_bundle, put_collection, put_file
from tests.support.command_line import Outcome, dss_here
from tests.support.concurrent_calls import ConcurrentCalls
from tests.support.dss import open_dss_for_threads


@pytest.fixture(scope="module")
def system(stack):
    return open_dss_for_threads(stack, publishes=False)


@pytest.fixture
def name() -> str:
    return f"lab-{new_uuid()[:8]}"


@pytest.fixture
def access(stack):
    """Run `dss admin access`, and return its outcome; fail unless it succeeds."""

    def run(*arguments: object) -> Outcome:
        outcome = dss_here(stack, "admin", "access", *arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    return run


def test_a_uuid_is_bound_and_unbound(stack, access, clouds, name):
    uuid = new_uuid()
    dry = access("add", uuid, name, "--dry-run")
    assert "would be read by" in dry.out
    assert access("get", uuid, "--json").json["readers"] == []

    added = access("add", uuid, name)
    assert f"{uuid}: read by {name}; written by all writers" in added.out
    assert "before: read by public (DSS_DEFAULT_ACCESS)" in added.out
    assert "nothing has this UUID yet" in added.out
    assert "nothing to change" in access("add", uuid.upper(), name).out
    both = access("add", uuid, "signed-in", "--json").json
    assert (both["changed"], both["exists"]) == (True, [])
    assert both["after"]["readers"] == sorted([name, "signed-in"])
    assert both["after"]["by"] == getpass.getuser()

    access("remove", uuid, "signed-in")
    last = dss_here(stack, "admin", "access", "remove", uuid, name)
    assert (last.code, "--unbind" in last.err) == (1, True)
    assert access("get", uuid, "--json").json["readers"] == [name]
    assert "read by public" in access("remove", uuid, name, "--unbind").out
    assert "nothing to change" in access("remove", uuid, name).out
    # Each change is an object of the bucket, the newest of which counts.
    keys = clouds.keys("gcp", f"access/{uuid}")
    assert [json.loads(clouds.read("gcp", key))["readers"] for key in keys] == [
        [name],
        sorted([name, "signed-in"]),
        [name],
        [],
    ]


def test_a_uuid_is_given_an_owner(stack, access, name):
    uuid = new_uuid()
    assert f"written by {name}" in access("own", uuid, name).out
    assert access("get", uuid, "--json").json["owner_group"] == name
    listed = access("list", "--group", name, "--json").json["bound"]
    assert [one["uuid"] for one in listed] == [uuid]
    assert uuid in access("list").out
    assert "written by all writers" in access("own", uuid, "--nobody").out
    assert access("list", "--group", name, "--json").json["bound"] == []
    assert dss_here(stack, "admin", "access", "own", uuid).code == 1


def test_a_bundle_is_bound_with_its_files(access, api, anyone, clouds, name):
    files = [put_file(api, clouds.stage("gcp", new_uuid().encode())) for _ in range(3)]
    bundle = put_bundle(api, "gcp", [file.named(str(n)) for n, file in enumerate(files)])
    paths = [f"/v1/bundles/{bundle.uuid}", *(f"/v1/files/{file.uuid}" for file in files)]

    outcome = access("add", bundle.uuid, name, "--with-files")

    assert "with its files" in outcome.out
    assert "3 files are bound as the bundle" in outcome.out
    assert {anyone.get(path, replica="gcp").status_code for path in paths} == {401}
    access("remove", bundle.uuid, name, "--unbind")
    assert [anyone.get(path, replica="gcp").status_code for path in paths] == [200, 302, 302, 302]


def test_a_collection_is_read_and_written_by_its_owner(stack, access, api, name):
    uuid = put_collection(api, "gcp", []).uuid
    owner = f"{claims_of(stack['DSS_TOKEN'])['email']} (its owner)"

    assert f"(collection): read by {owner}; written by {owner}" in access("get", uuid).out
    assert f"read by {name}, {owner}; written by {owner}" in access("add", uuid, name).out
    refused = dss_here(stack, "admin", "access", "own", uuid, name)
    assert refused.code == 1
    assert f"{uuid} is a collection: it belongs to the person who made it" in refused.err
    assert access("get", uuid, "--json").json["owner_group"] == ""
    assert f"read by {owner}; written by {owner}" in access("remove", uuid, name, "--unbind").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("access", "add", "no-uuid", "lab"), "is not a UUID"),
        (("access", "add", new_uuid(), "default"), "is not the name of a group"),
        (("access", "own", new_uuid(), "public"), "is not a group"),
        (("group", "add", "signed-in", "a@example.org"), "is not a group"),
        (("group", "add", "lab", "somebody"), "neither an e-mail address nor a domain"),
    ],
)
def test_what_is_wrong_is_named(stack, arguments, said):
    outcome = dss_here(stack, "admin", *arguments)
    assert (outcome.code, said in outcome.err) == (1, True), outcome.err


def test_members_come_and_go(stack, clouds, system, name):
    def group(*arguments: object) -> Outcome:
        outcome = dss_here(stack, "admin", "group", *arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    person, robot, domain = (
        f"{name}.Kay@{name}.Example.org",
        f"{name}@{name}.iam.gserviceaccount.com",
        f"@of-{name}.example.org",
    )
    assert "would be added" in group("add", name, person, "--dry-run").out
    assert group("list", name, "--json").json == {"groups": []}
    added = group("add", name, person, robot, domain)
    members = sorted([person.lower(), robot, domain])
    assert all(member in added.out for member in members)
    assert "nothing to change" in group("add", name, person.lower()).out
    [listed] = group("list", name, "--json").json["groups"]
    assert (listed["members"], listed["by"]) == (members, getpass.getuser())
    [object_key] = clouds.keys("gcp", f"groups/{group_uuid(name)}")
    assert json.loads(clouds.read("gcp", object_key))["members"] == members

    for email in (person, robot, f"anybody@of-{name}.example.org"):
        assert groups_of(system, email) == {name}
        assert group("list", "--member", email, "--json").json["groups"] == [listed]
    # U+212A is k in lower case, but not the same address or domain.
    kelvin = person.replace("K", "\u212a")
    assert (kelvin.lower(), groups_of(system, kelvin)) == (person.lower(), set())
    assert "is neither an e-mail address" in dss_here(stack, "admin", "group", "add", name, kelvin).err
    # A domain is that of the address, and not part of it.
    assert groups_of(system, f"anybody@sub.of-{name}.example.org") == set()
    assert groups_of(system, f"anybody@xof-{name}.example.org") == set()

    removed = group("remove", name, domain, "nobody@example.org", "--json").json
    assert (removed["removed"], removed["members"]) == ([domain], 2)
    assert "nothing to change" in group("remove", name, domain).out
    assert groups_of(system, f"anybody@of-{name}.example.org") == set()


def test_groups_are_bounded(stack, name, system):
    many = [f"{number}@example.org" for number in range(MOST_MEMBERS)]
    assert add_members(system, name, many, "operator") == set(many)
    outcome = dss_here(stack, "admin", "group", "add", name, "one-more@example.org")
    assert (outcome.code, "more than 2,000 members" in outcome.err) == (1, True)


def test_changes_of_one_uuid_at_once_are_all_there_afterwards(stack, system):
    uuid, readers = new_uuid(), [f"lab-{number}" for number in range(8)]
    systems = [system, open_dss_for_threads(stack, publishes=False)]

    def add(number: int, reader: str) -> None:
        def change(before):
            return replace(before, readers=before.readers | {reader})

        change_binding(systems[number % 2], uuid, "operator", change)

    with ConcurrentCalls(len(readers)) as concurrently:
        concurrently(*(lambda n=n, reader=reader: add(n, reader) for n, reader in enumerate(readers)))

    assert system.catalog.bindings.current(uuid).record.readers == set(readers)
