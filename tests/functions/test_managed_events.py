"""Managed data in search, events and journals: who may not read a bundle learns nothing of it from them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests

from local.issuer.client import request_token
from shared.bindings import change_binding
from shared.events.journal import compact, join, journal_of_many
from shared.identifiers import Fqid
from shared.system import Dss
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.function_process import FunctionProcess
from tests.support.journal_reader import JournalEvent, events_of, read_events
from tests.support.replication import object_event_attributes

REPLICA = "gcp"
LAB = "lab"


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Dss:
    """The dependencies of the running system; every event is old enough for a journal."""
    dss = open_dss_for_threads(stack, publishes=False)
    return replace(dss, settings=replace(dss.settings, journal_seconds=0))


@pytest.fixture(scope="module")
def member(stack: dict[str, str]) -> Api:
    """The API, asked by a member of the group that everything here is bound to."""
    return Api(stack["DSS_URL"], request_token(stack, "member@example.org", ["dss", LAB]))


@dataclass
class Line:
    """Bundles with their events, and what somebody sees of them."""

    index: FunctionProcess
    admin: Api
    clouds: Clouds
    dss: Dss

    def __post_init__(self) -> None:
        self.start, self.mark = now(), new_uuid()
        content = json.dumps({"mark": self.mark}).encode()
        source = self.clouds.stage(REPLICA, content, content_type="application/json")
        self.file = put_file(self.admin, source)

    def grow(self, *groups: str) -> list[Version]:
        """Create a bundle for each group, bound to it before it is published; not bound if it is empty."""
        made = []
        for group in groups:
            bundle = put_bundle(self.admin, REPLICA, [self.file.named("a.json", indexed=True)])
            if group:
                self.bind(bundle, group)
            event = object_event_attributes(self.clouds, REPLICA, f"bundles/{bundle}")
            assert self.index.push(event).status_code == 204
            made.append(bundle)
        return made

    def bind(self, bundle: Version, *readers: str) -> None:
        """Bind a bundle to readers; none unbinds it."""
        change_binding(
            self.dss,
            bundle.uuid,
            "operator@example.org",
            lambda old: replace(old, readers=frozenset(readers)),
        )

    def compact(self) -> None:
        """Put all events of the replica into journals."""
        list(compact(self.dss, self.dss.replicas.named(REPLICA)))

    def streams(self, api: Api, **query: Any) -> list[dict[str, Any]]:
        """Return the journals that somebody sees."""
        pages = api.pages("/v1/events", replica=REPLICA, from_date=self.start, per_page=10, **query)
        return [stream for page in pages for stream in page.json()["event_streams"]]

    def seen(self, api: Api) -> list[str]:
        """Return the bundles whose events somebody reads in journals, in order of time."""
        return [_bundle(event) for event in read_events(api, REPLICA, from_date=self.start, per_page=10)]

    def found(self, api: Api, per_page: int = 10) -> tuple[list[list[str]], set[int]]:
        """Return the pages of bundles that somebody finds, and the totals that the pages tell."""
        query = {"es_query": {"query": {"match": {"files.a_json.mark": self.mark}}}}
        pages, totals = [], set()
        answer = api.request("POST", "/v1/search", json=query, replica=REPLICA, per_page=per_page)
        while True:
            pages.append([hit["bundle_fqid"] for hit in answer.json()["results"]])
            totals.add(answer.json()["total_hits"])
            if "next" not in answer.links:
                return pages, totals
            answer = api.request("POST", answer.links["next"]["url"], json=query)


def _bundle(event: JournalEvent) -> str:
    info = json.loads(event.content)["bundle_info"]
    return f"{info['uuid']}.{info['version']}"


@pytest.fixture
def line(index: FunctionProcess, admin: Api, clouds: Clouds, dss: Dss) -> Iterator[Line]:
    line = Line(index, admin, clouds, dss)
    # Events of other tests are in journals of their own.
    line.compact()
    yield line


def names(*bundles: Version) -> list[str]:
    return [str(bundle) for bundle in bundles]


def status_of(api: Api, bundle: Version) -> int:
    return api.get(f"/v1/events/{bundle.uuid}", replica=REPLICA, version=bundle.version).status_code


def test_search_and_documents_follow_a_binding(line: Line, anyone: Api, api: Api, member: Api) -> None:
    bundles = line.grow(*["", LAB, ""] * 10)
    visible = sorted(names(*bundles[::3], *bundles[2::3]), reverse=True)
    everything = sorted(names(*bundles), reverse=True)

    for client in (anyone, api):
        assert line.found(client) == ([visible[:10], visible[10:]], {20})
    for client in (member, line.admin):
        assert line.found(client) == ([everything[:10], everything[10:20], everything[20:]], {30})
    assert [status_of(client, bundles[1]) for client in (anyone, api, member)] == [401, 403, 200]
    assert [status_of(client, bundles[0]) for client in (anyone, api, member)] == [200, 200, 200]

    line.bind(bundles[0], LAB)
    line.bind(bundles[1])
    visible = sorted({*visible, str(bundles[1])} - {str(bundles[0])}, reverse=True)
    assert line.found(anyone) == ([visible[:10], visible[10:]], {20})
    assert status_of(anyone, bundles[0]) == 401
    # A version of a bound bundle that is not there says no more than one that is.
    missing = anyone.get(f"/v1/events/{bundles[0].uuid}", replica=REPLICA, version=now())
    assert_problem(missing, 401, "Unauthorized")


def test_a_file_that_is_bound_on_its_own_narrows_what_is_derived(
    line: Line, anyone: Api, member: Api
) -> None:
    [bundle] = line.grow("")
    assert line.found(anyone) == ([names(bundle)], {1})
    line.bind(line.file, LAB)

    assert line.found(anyone) == ([[]], {0})
    assert (line.seen(anyone), line.seen(member)) == ([], names(bundle))
    assert [status_of(client, bundle) for client in (anyone, member)] == [401, 200]


def test_events_that_are_not_compacted_yet_are_left_out_and_pages_are_full(
    line: Line, anyone: Api, member: Api
) -> None:
    bundles = line.grow("", LAB, LAB, "", LAB, "", "")

    for client, meant in ((anyone, [0, 3, 5, 6]), (member, range(7))):
        pages = list(client.pages("/v1/events", replica=REPLICA, from_date=line.start, per_page=2))
        streams = [page.json()["event_streams"] for page in pages]
        assert [len(page) for page in streams] == [2] * (len(meant) // 2) + [1] * (len(meant) % 2)
        events = [event for page in streams for stream in page for event in events_of(stream)]
        assert [_bundle(event) for event in events] == names(*(bundles[number] for number in meant))


def test_a_journal_with_managed_events_is_served_without_them(
    line: Line, anyone: Api, api: Api, member: Api
) -> None:
    bundles = line.grow(LAB, "", LAB, "", "", LAB)
    alone = [event.content for event in read_events(anyone, REPLICA, from_date=line.start)]
    line.compact()

    assert line.seen(anyone) == line.seen(api) == names(bundles[1], bundles[3], bundles[4])
    assert [event.content for event in read_events(anyone, REPLICA, from_date=line.start)] == alone
    [seen] = line.streams(anyone)
    [whole] = line.streams(member)
    # It is the journal of its own events, and nothing tells of others: not its name, times, size or offsets.
    events = seen["events"]
    assert seen["journal_id"] == f"{events[0]['timestamp']}--{events[-1]['timestamp']}"
    assert (seen["from_date"], seen["to_date"]) == (events[0]["timestamp"], events[-1]["timestamp"])
    assert [one["offset"] for one in events] == [0, events[0]["size"], events[0]["size"] + events[1]["size"]]
    assert requests.get(seen["stream_url"], timeout=60).content == b"".join(alone)
    assert len(b"".join(alone)) == seen["size"]
    assert seen["stream_url"].startswith(f"{anyone.url}/v1/journals?")
    # Who sees all of it has its object.
    assert "/v1/journals" not in whole["stream_url"]
    assert line.seen(member) == line.seen(line.admin) == names(*bundles)
    # Only what was asked for.
    [part] = line.streams(anyone, to_date=events[1]["timestamp"])
    assert (part["events"], part["journal_id"]) == (events[:1], seen["journal_id"])


def test_a_journal_follows_bindings_and_so_does_a_stream_of_it(line: Line, anyone: Api, member: Api) -> None:
    bundles = line.grow("", "", LAB, "")
    line.compact()
    [stream] = line.streams(anyone)
    assert requests.get(stream["stream_url"], timeout=60).status_code == 200

    line.bind(bundles[1], LAB)
    assert line.seen(anyone) == names(bundles[0], bundles[3])
    assert line.seen(member) == names(*bundles)
    refused = requests.get(stream["stream_url"], timeout=60)
    assert_problem(refused, 403, "Forbidden", "has changed")

    for bundle in bundles:
        line.bind(bundle)
    [whole] = line.streams(anyone)
    assert "/v1/journals" not in whole["stream_url"]
    assert line.seen(anyone) == names(*bundles)
    for bundle in bundles:
        line.bind(bundle, LAB)
    assert (line.streams(anyone), line.seen(member)) == ([], names(*bundles))


@pytest.mark.parametrize("token", ["", "x", "gAAAAABm", "é"])
def test_nobody_makes_up_a_stream(anyone: Api, token: str) -> None:
    assert_problem(anyone.get("/v1/journals", token=token), 403, "Forbidden")


def test_events_of_a_deleted_bundle_stay_managed(line: Line, anyone: Api, member: Api) -> None:
    [bundle] = line.grow(LAB)
    gone = line.admin.delete(f"/v1/bundles/{bundle.uuid}", replica=REPLICA, json={"reason": "wrong"})
    assert gone.status_code == 200
    event = object_event_attributes(line.clouds, REPLICA, f"bundles/{bundle.uuid}.dead")
    assert line.index.push(event).status_code == 204

    assert (line.seen(anyone), line.seen(member)) == ([], names(bundle, bundle))
    assert [status_of(client, bundle) for client in (anyone, member)] == [401, 200]
    line.compact()
    assert (line.seen(anyone), line.seen(member)) == ([], names(bundle, bundle))
    line.bind(bundle)
    assert line.seen(anyone) == names(bundle, bundle)


def test_a_change_while_a_journal_is_being_added_is_not_lost(line: Line, anyone: Api, dss: Dss) -> None:
    bundles = line.grow("", "")
    replica = dss.replicas.named(REPLICA)
    reached = []

    class Binding:
        """Binds the first bundle at the moment at which the journal was written, and reads none of it yet."""

        def reach(self, point: str) -> None:
            reached.append(point)
            if point == "compact: journal written":
                line.bind(bundles[0], LAB)

    [journal] = compact(replace(dss, faults=Binding()), replica)  # type: ignore[arg-type] # it has `reach`
    assert len(journal.entries) == 2 and "compact: journal written" in reached
    assert line.seen(anyone) == names(bundles[1])

    # And while its labels are read.
    bundles = line.grow("", "")
    catalog, asked = dss.catalog.events, []
    events = list(catalog.since(REPLICA, start=line.start))[-2:]
    fqid = Fqid(bundles[0].uuid, bundles[0].version)
    [first] = [event for event in events if event.fqid == fqid]

    def labels() -> dict[str, frozenset[str]]:
        known = {event.id: event.labels for event in catalog.get_many([one.id for one in events]).values()}
        asked.append(known[first.id])
        if len(asked) == 1:
            line.bind(bundles[0], LAB)
        return known

    made = journal_of_many(events)
    join(replica, made, events)
    dss.catalog.journals.add(made, labels)
    assert len(asked) == 2 and asked[0] != asked[1]
    assert line.seen(anyone)[-1:] == names(bundles[1])
