"""Who may do what: every operation of the contract, by everybody, on everything, as docs/access.md says."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import requests
from flask import Flask

from local.api import api_process
from local.issuer.client import request_token
from run.api.app import create_app
from shared.access import Action, Decision, Policy, Principal, Resource
from shared.system import Dss
from tests.support.access_world import (
    CALLS,
    HIDDEN,
    PURGED,
    READERS,
    SETTINGS,
    WHO,
    Ask,
    Target,
    World,
    expected,
)
from tests.support.api import Api, new_uuid
from tests.support.clouds import Clouds
from tests.support.decisions import ASKS_NOTHING
from tests.support.dss import open_dss
from tests.support.executions import executions_server
from tests.support.operations import ALL_OPERATIONS
from tests.support.topics import make_topics

# Taking a name says that it is taken, to everybody.
TAKES_A_NAME = ("files.put", "files.put_many", "bundles.put", "collections.put")
# What is served beside the operations of the contract.
OTHER_ROUTES = {
    "/": "leads to the pages",
    "/api": "a page for the contract",
    "/assets/<path:name>": "its scripts",
    "/browse/static/icon.svg": "the icon of the pages",
    "/browse/static/pages.css": "their style sheet",
    "/browse/static/pages.js": "their script",
    "/ga4gh/drs/v1/openapi.json": "the contract of DRS",
    "/imports/openapi.json": "the contract of imports",
    "/internal/application_secrets": "the OAuth client of command lines",
    "/internal/health": "which back ends answer",
    "/v1/bundles": "bundles.list_all, where the predecessor had it",
    "/v1/swagger.json": "the contract",
    "/openapi": "the contract of the catalogue",
    "/page/swagger.json": "the contract, as the page shows it",
    "/version": "the version of the service",
}
DELETES = ("bundles.delete", "collections.delete")
# What nobody may do with managed data.
REFUSED = (
    *("files.get with directurl", "bundles.get with directurls", "checkout.post"),
    "events.read_journal without a token of events.list_journals",
    "account.finish_sign_in without a sign-in that has begun",
    # What is asked for is not there, or is no image.
    *("browse.get_image", "browse.get_entity of a project"),
    # Of operators.
    "browse.get_run",
)


@pytest.fixture(scope="module")
def world(
    stack: dict[str, str], dss: Dss, clouds: Clouds, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    make_topics(stack, "deliveries", "replays")
    with executions_server(stack, tmp_path_factory.mktemp("executions")) as executions:
        settings = {**SETTINGS, "DSS_WORKFLOWS_EMULATOR_HOST": executions}
        with (
            api_process(stack, settings) as showing,
            api_process(stack, {**settings, "DSS_HIDE_MANAGED": "true"}) as hiding,
        ):
            apis = {False: Api(showing.url), True: Api(hiding.url)}
            yield World.make({**stack, **settings}, dss, clouds, apis)


def target_for(world: World, row: str, column: str, who: str) -> Target:
    """Return what is asked for; if it will be deleted, one that nobody else asks for."""
    succeeds = expected()[row][column][WHO.index(who)] < 300
    return world.expendable(column) if row in DELETES and succeeds else world.targets[column]


def test_every_operation_has_a_row() -> None:
    operations = set(ALL_OPERATIONS)
    assert {row.partition(" ")[0] for row in expected()} == operations
    assert set(CALLS) == set(expected())


def test_every_route_is_an_operation_or_has_nothing_of_anybody(dss: Dss) -> None:
    operations = {operation.rule for operation in ALL_OPERATIONS.values()}

    routes = {rule.rule for rule in create_app(dss).url_map.iter_rules()}

    assert routes - operations == set(OTHER_ROUTES)


@pytest.mark.parametrize("row", CALLS)
def test_each_operation_answers_everybody_as_the_table_says(world: World, row: str) -> None:
    answers = {
        (column, who): CALLS[row](
            Ask(world=world, api=world.client(column, who), target=target_for(world, row, column, who))
        )
        for column in expected()[row]
        for who in WHO
    }

    assert {
        column: tuple(answers[column, who].status_code for who in WHO) for column in expected()[row]
    } == expected()[row], {place: answer.text[:300] for place, answer in answers.items()}


def shape(answer: requests.Response, target: Target) -> tuple[int, dict[str, str], bytes]:
    """Return all of an answer but for its time, its id, and the UUIDs that were asked for."""
    headers = {
        name: text for name, text in answer.headers.lower_items() if name not in ("date", "x-request-id")
    }
    # A form has a UUID for what it makes.
    body = re.sub(rb'name="once" value="[^"]*"', b"", answer.content)
    for number, name in enumerate((*target.uuids, target.job)):
        body = body.replace(name.encode(), f"name {number}".encode())
    return answer.status_code, headers, body


HIDING_ROWS = [row for row, cells in expected().items() if HIDDEN in cells and row not in TAKES_A_NAME]


@pytest.mark.parametrize(("column", "replica"), [(HIDDEN, "gcp"), (HIDDEN, "aws"), (PURGED, "gcp")])
@pytest.mark.parametrize("row", HIDING_ROWS)
def test_what_is_hidden_is_answered_byte_for_byte_as_what_is_not_there(
    world: World, row: str, column: str, replica: str
) -> None:
    """Also if it was removed for good, and on a replica that it has not arrived at: it isn't `pending`."""
    hidden = world.targets[column]
    absent = hidden.absent()
    nobody = world.apis[True]
    strangers = {
        "without a token": nobody,
        "with no valid token": nobody.signed_in("no.valid.token"),
        "signed in": world.client(HIDDEN, "signed in"),
        "who may write": world.client(HIDDEN, "other"),
    }

    def ask(api: Api, target: Target) -> Any:
        return shape(CALLS[row](Ask(world=world, api=api, target=target, replica=replica)), target)

    seen = {name: (ask(api, hidden), ask(api, absent)) for name, api in strangers.items()}

    assert {name: one for name, (one, _) in seen.items()} == {
        name: other for name, (_, other) in seen.items()
    }
    assert all(status in (400, 401, 403, 404, 422) for (status, _, _), _ in seen.values())


def test_who_only_reads_needs_no_group_that_writes(world: World, stack: dict[str, str]) -> None:
    token = request_token(stack, f"{new_uuid()}@example.org", READERS)
    rows = [row for row in CALLS if not ALL_OPERATIONS[row.partition(" ")[0]].secured]
    place = WHO.index("reader")

    answers = {
        (row, column): CALLS[row](
            Ask(world=world, api=world.apis[column == HIDDEN].signed_in(token), target=world.targets[column])
        ).status_code
        for row in [*rows, "collections.get"]
        for column in expected()[row]
    }

    assert answers == {(row, column): expected()[row][column][place] for row, column in answers}


@pytest.mark.parametrize("row", [row for row in CALLS if len(set(expected()[row]["public"])) == 1])
def test_no_token_matters_for_what_everybody_may_read(world: World, row: str) -> None:
    """Old clients send tokens that have expired, or those of other servers."""
    target = world.targets["public"]

    for api in world.apis.values():
        answer = CALLS[row](Ask(world=world, api=api.signed_in("no.valid.token"), target=target))
        assert answer.status_code == expected()[row]["public"][0], answer.text


class InProcess(Api):
    """A client of an application in this process."""

    def __init__(self, application: Flask, token: str | None) -> None:
        super().__init__("", token)
        self._client = application.test_client(use_cookies=False)

    def request(
        self, method: str, path: str, *, json: Any = None, data: Any = None, headers: Any = None, **query: Any
    ) -> Any:
        """Return the answer to one request, which has a status alone in common with those over HTTP."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        more = {"query_string": query} if query else {}
        return self._client.open(path, method=method, json=json, data=data, headers=sent, **more)


class Observed(Policy):
    """A policy that notes what it is asked about."""

    asked: ClassVar[list[Resource | None]] = []

    def decide(self, who: Principal, action: Action, what: Resource) -> Decision:
        """Decide as always."""
        if action not in (Action.CALL, Action.CONTRIBUTE):
            self.asked.append(what)
        return super().decide(who, action, what)

    def is_open(self, what: Resource) -> bool:
        """Decide as always."""
        self.asked.append(what)
        return super().is_open(what)

    def counts_as(self, who: Principal) -> frozenset[str] | None:
        """Decide as always."""
        self.asked.append(None)
        return super().counts_as(who)


def test_nothing_is_answered_before_the_policy_was_asked(world: World) -> None:
    """Beside whether somebody may call the operation at all."""
    silent = set()
    with open_dss(world.env) as dss:
        vars(dss)["policy"] = Observed.of(dss.settings)
        owner = InProcess(create_app(dss), world.tokens["owner"])
        for row, call in CALLS.items():
            Observed.asked.clear()
            target = world.expendable("managed") if row in DELETES else world.targets["managed"]
            answer = call(Ask(world=world, api=owner, target=target))
            refused = answer.status_code >= 400
            assert not refused or row in REFUSED, (row, answer.status_code, answer.text)
            if not Observed.asked:
                silent.add(row)

    assert {row.partition(" ")[0] for row in silent} == set(ASKS_NOTHING)
