"""What belongs to people at the pages: their subscriptions and collections, which nobody else sees."""

from typing import Any
from uuid import UUID

import pytest

from shared.identifiers import Fqid
from tests.run.account.conftest import CATALOGUE, LAB, Person, Site
from tests.support.api import Version, new_uuid, put_bundle, put_file

HOOK = "https://subscriber.example.org/hook?of=mine"
SUBSCRIPTIONS, COLLECTIONS, COLLECT = "/browse/subscriptions", "/browse/collections", "/browse/collect"


def subscribed(person: Person, status: int = 303, **fields: Any) -> Any:
    page = person.get(SUBSCRIPTIONS)
    [once] = page.all("input", name="once")
    form = {"replica": "gcp", "callback_url": HOOK, "once": once["value"], **fields}
    return person.send(SUBSCRIPTIONS, page, status, **form)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "all"),
        ({"language": "jmespath", "query": "event_type=='CREATE'"}, "event_type=='CREATE'"),
        ({"language": "json", "query": '{"query": {"match_all": {}}}'}, "match_all"),
    ],
)
def test_a_subscription_is_made_shown_sampled_and_deleted(
    site: Site, fields: dict[str, str], shown: str
) -> None:
    person, other = site.member(), site.member()

    path = subscribed(person, **fields).headers["Location"]

    page = person.get(path)
    assert HOOK in page.text
    assert shown in page.text
    assert HOOK in person.get(SUBSCRIPTIONS).text
    assert person.send(path, page, action="test").headers["Location"] == path
    assert person.send(path, page, action="replay", **{"from": "2026-03-01"}).headers["Location"] == path
    assert HOOK not in other.get(SUBSCRIPTIONS).text
    other.get(path, 404)
    other.send(path, SUBSCRIPTIONS, 404, action="delete")
    assert person.send(path, page, action="delete").headers["Location"] == SUBSCRIPTIONS
    person.get(path, 404)
    assert HOOK not in person.get(SUBSCRIPTIONS).text


def test_the_same_form_sent_twice_makes_one_subscription(site: Site) -> None:
    person = site.member()
    once = new_uuid()

    paths = {subscribed(person, once=once).headers["Location"] for _ in range(2)}

    assert len(paths) == 1
    assert len(person.get(SUBSCRIPTIONS).rows()) == 1


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"callback_url": ""}, 400, "Address that is called: missing"),
        ({"callback_url": "ftp://example.org"}, 422, "callback_url"),
        ({"callback_url": "http://127.0.0.1:0/"}, 422, "callback_url"),
        ({"language": "jmespath"}, 400, "Query: missing"),
        ({"language": "jmespath", "query": "a["}, 400, "jmespath_query"),
        ({"language": "json", "query": "{"}, 400, "Query: not valid JSON"),
        ({"language": "json", "query": "[]"}, 400, "must be a JSON object"),
        ({"language": "latin", "query": "x"}, 400, "language"),
        ({"query": "x"}, 400, "choose what it is written in"),
        ({"replica": "moon"}, 400, "moon"),
    ],
)
def test_what_is_wrong_with_a_form_is_shown_with_the_form(
    site: Site, fields: dict[str, str], status: int, words: str
) -> None:
    person = site.member()

    answer = subscribed(person, status, **fields)

    assert 'role="alert"' in answer.text
    assert words in answer.text
    assert fields.get("query", "") in answer.text.replace("&#39;", "'")
    assert person.get(SUBSCRIPTIONS).rows() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"action": "explode"}, "action"), ({"action": "replay", "from": "yesterday"}, "is not a day")],
)
def test_odd_actions_are_refused(site: Site, fields: dict[str, str], words: str) -> None:
    person = site.member()
    path = subscribed(person).headers["Location"]

    assert words in person.send(path, path, 400, **fields).text


def test_who_may_not_write_has_neither(site: Site) -> None:
    reader, stranger = site.member(group=LAB), site.visitor()

    for path in (SUBSCRIPTIONS, COLLECTIONS, COLLECT):
        reader.get(path, 403)
        assert "Sign in" in stranger.get(path, 401).html


def new_file(site: Site) -> Version:
    return put_file(site.service.writer, site.clouds.stage("gcp", new_uuid().encode()))


def collected(person: Person, path: str, **fields: str) -> str:
    page = person.get(path)
    [once] = page.all("input", name="once")
    return person.send(path, page, **{"once": once["value"], **fields}).headers["Location"]


def test_a_collection_is_made_and_grows(site: Site) -> None:
    person, file = site.member(), new_file(site)
    bundle = put_bundle(site.service.writer, "gcp", [file.named("a.txt")])

    first = collected(person, COLLECT, name="mine & <ours>", description="about")
    made = person.get(first)
    assert "mine & <ours>" in made.text
    assert "It links to nothing." in made.text
    [name] = person.get(COLLECTIONS).rows()
    assert name == "mine & <ours>"

    add = person.get(f"/browse/bundles/{bundle.uuid}").link("Add to a collection")
    [into, _] = (each["value"] for each in person.get(add).all("input", name="into"))
    assert Fqid.parse(into, "into").uuid in first
    second = collected(person, add, into=into)
    assert bundle.uuid in person.get(second).text
    add = person.get(f"/browse/files/{file.uuid}").link("Add to a collection")
    # The version that one chose is not the newest any more.
    stale = person.send(add, add, 412, into=into, once=new_uuid())
    assert 'role="alert"' in stale.text
    [into, _] = (each["value"] for each in person.get(add).all("input", name="into"))
    third = person.get(collected(person, add, into=into))
    assert {bundle.uuid, file.uuid} <= set(third.rows())


def test_a_selection_of_what_the_store_does_not_have_is_refused(site: Site) -> None:
    person = site.member()
    listed = person.get(f"/browse/projects?catalog={CATALOGUE}&is.organ=brain")
    add = listed.link("Add the bundles to a collection")

    page = person.get(add)

    assert f"1 bundle of {CATALOGUE}" in page.text
    # The samples are in the catalogue alone; for one that the store has, see tests/system/test_people.py.
    refused = person.send(add, page, 422, name="brains", once=new_uuid())
    assert "does not exist" in refused.text
    assert 'value="brains"' in refused.text


def test_others_neither_see_nor_change_a_collection(site: Site) -> None:
    person, other = site.member(), site.member()
    path = collected(person, COLLECT, name="mine")
    [into] = (
        f"{uuid}.{version}"
        for uuid, _, version in [path.removeprefix(f"{COLLECTIONS}/").partition("?version=")]
        for version in [version.partition("&")[0]]
    )
    file = new_file(site)

    other.get(path, 403)
    assert other.get(COLLECTIONS).rows() == []
    adding = f"{COLLECT}?type=file&uuid={file.uuid}&version={file.version}&replica=gcp"
    other.send(adding, adding, 403, into=into)
    site.visitor().get(path, 401)


@pytest.mark.parametrize(
    "query",
    ["type=file", f"type=moon&uuid={UUID(int=0)}&version=2026-01-01T000000.000000Z", "x=1", "is.nothing=1"],
)
def test_odd_things_to_collect_are_refused(site: Site, query: str) -> None:
    site.member().get(f"{COLLECT}?{query}", 400)
