"""What must be true once all has settled."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import requests

from shared.identifiers import Fqid, event_id
from shared.metadata import CREATE, TOMBSTONE
from tests.chaos.history import ABSENT, OK, UNKNOWN
from tests.chaos.load import World, Written, read_version, run_query
from tests.chaos.registers import faults_of, newest_faults
from tests.support.api import Api, Version
from tests.support.clouds import REPLICAS
from tests.support.command_line import dss
from tests.support.subscriber import Subscriber

# Returns what is wrong; nothing once all is right.
Check = Callable[[], list[str]]


def checks(world: World, server: Subscriber, env: Mapping[str, str]) -> dict[str, Check]:
    """Return the checks by what they prove. Each may be repeated until it finds nothing, or time is up."""
    return {
        "every acknowledged bundle is on every replica, byte for byte": partial(_bundles, world),
        "a contested version has one content everywhere": partial(_contested, world),
        "every checkout has succeeded": partial(_checkouts, world),
        "journals of both replicas hold every event": partial(_events, world),
        "the subscriber was sent every event": partial(_deliveries, world, server),
        "search finds what the catalog says": partial(_search, world),
        "an audit finds nothing": partial(_audit, env),
    }


def history_faults(world: World) -> list[str]:
    """Return the registers whose operations contradict each other."""
    found = []
    for register, operations in world.history.by_register().items():
        check = newest_faults if register.startswith("collection ") else faults_of
        found += [f"{register}: {fault}" for fault in check(operations)]
    return found


def _bundles(world: World) -> list[str]:
    api = world.api()
    found = []
    for each in list(world.written.values()):
        for replica in REPLICAS:
            found += _bundle(world, api, replica, each)
    return found


def _bundle(world: World, api: Api, replica: str, written: Written) -> Iterator[str]:
    bundle = written.bundle
    value = read_version(world, api, replica, bundle)
    if written.deletion:
        # What was not acknowledged may have happened, or not.
        if written.deletion == OK and value != ABSENT:
            yield f"{bundle} on {replica}: deleted, and still there"
        return
    query = {"replica": replica, "version": bundle.version, "presignedurls": True}
    answer = world.ask(partial(api.get, f"/v1/bundles/{bundle.uuid}", **query))
    if answer is None or answer.status_code != 200:
        yield f"{bundle} on {replica}: {answer.status_code if answer is not None else 'no answer'}"
        return
    for file in answer.json()["bundle"]["files"]:
        content = requests.get(file["url"], timeout=60).content
        if hashlib.sha256(content).hexdigest() != written.files.get(file["name"]):
            yield f"{bundle} on {replica}: {file['name']} has another content"


def _contested(world: World) -> list[str]:
    api = world.api()
    found = []
    for name in list(world.contested):
        uuid, _, version = name.partition(".")
        values = {read_version(world, api, replica, Version(uuid, version)) for replica in REPLICAS}
        if len(values) > 1 or None in values:
            found.append(f"{name}: {values}")
    return found


def _checkouts(world: World) -> list[str]:
    api = world.api()
    found = []
    for job, written in list(world.checkouts.items()):
        answer = world.ask(partial(api.get, f"/v1/bundles/checkout/{job}", replica=written.replica))
        status = answer.json().get("status") if answer is not None and answer.ok else "no answer"
        # One whose bundle was deleted meanwhile may fail.
        if status not in ("SUCCEEDED", "FAILED" if written.deletion else ""):
            found.append(f"checkout {job} of {written.bundle} on {written.replica}: {status}")
    return found


def _visible(world: World) -> set[str]:
    """Return the bundles that must be found; not those of which it is open whether they were deleted."""
    return {name for name, each in world.written.items() if not each.deletion}


def _maybe(world: World) -> set[str]:
    return {name for name, each in world.written.items() if each.deletion == UNKNOWN}


def _events(world: World) -> list[str]:
    found = []
    for replica in REPLICAS:
        pages = world.api().pages("/v1/events", replica=replica)
        journals = [journal for page in pages for journal in page.json().get("event_streams", ())]
        known = {event["event_id"] for journal in journals for event in journal["events"]}
        for name, each in list(world.written.items()):
            fqid = Fqid(each.bundle.uuid, each.bundle.version)
            created, deleted = (event_id(replica, fqid, kind) in known for kind in (CREATE, TOMBSTONE))
            # What was deleted before it had reached a replica was never visible there, and is no event.
            if created if each.deletion == OK else not each.deletion:
                required = deleted if each.deletion else created
                found += [] if required else [f"{name} is not in the journal of {replica}"]
    return found


def _deliveries(world: World, server: Subscriber) -> list[str]:
    got = {
        f"{call.json['match']['bundle_uuid']}.{call.json['match']['bundle_version']}"
        for call in list(server.calls)
        if call.path.startswith("/ok")
    }
    return [f"{name} was not delivered" for name in sorted(_visible(world) - got)]


def _search(world: World) -> list[str]:
    api = world.api()
    found = []
    for replica in REPLICAS:
        hits: set[str] = set()
        answer = api.post("/v1/search", json=run_query(world.run), replica=replica, per_page=500)
        while answer.status_code == 206:
            hits |= _hits(answer)
            answer = api.post(answer.links["next"]["url"], json=run_query(world.run))
        if answer.status_code != 200:
            return [f"search on {replica}: {answer.status_code} {answer.text[:200]}"]
        hits |= _hits(answer)
        found += [f"{name} is not found on {replica}" for name in sorted(_visible(world) - hits)]
        strange = hits - _visible(world) - _maybe(world) - {*world.contested}
        found += [f"{name} is found on {replica}" for name in sorted(strange & {*world.written})]
    return found


def _hits(answer: requests.Response) -> set[str]:
    return {hit["bundle_fqid"] for hit in answer.json()["results"]}


def _audit(env: Mapping[str, str]) -> list[str]:
    with tempfile.NamedTemporaryFile() as report:
        outcome = dss(env, "admin", "audit", "--settled-after", 0, "--report", report.name)
        rows = [json.loads(line) for line in Path(report.name).read_text().splitlines()]
    if outcome.code not in (0, 1):
        return [f"audit: {outcome.err}"]
    # Content that was copied by a call that failed is nobody's, and does no harm.
    # The other lines of the report are its sums.
    findings = [row for row in rows if "kind" in row]
    return [str(row) for row in findings if (row["kind"], row["section"]) != ("dark", "blobs")]


def summary(faults: Iterable[str], most: int = 5) -> str:
    """Return the first of some faults, and how many more there are."""
    listed = list(faults)
    more = f" … and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(listed[:most]) + more
