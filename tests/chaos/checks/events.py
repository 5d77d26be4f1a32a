"""Journals have every event once, those who read on miss none, and subscribers are sent all."""

from collections import Counter

from shared.identifiers import Fqid, event_id
from shared.metadata import CREATE, TOMBSTONE
from tests.chaos.checks.replicas import visible
from tests.chaos.clients.reading import follow_on
from tests.chaos.clients.world import World
from tests.chaos.history import OK
from tests.support.clouds import REPLICAS


def journals(world: World) -> list[str]:
    """Return the events that a journal lacks, or has twice, and those that only one replica has."""
    found, both = [], {}
    for replica in REPLICAS:
        # Not of what is managed or purged meanwhile: everybody's.
        known = _listed(world, replica)
        found += [
            f"{name} is {count} times in the journal of {replica}"
            for name, count in known.items()
            if count > 1
        ]
        for name, each in list(world.written.items()):
            fqid = Fqid(each.bundle.uuid, each.bundle.version)
            created, deleted = (event_id(replica, fqid, kind) in known for kind in (CREATE, TOMBSTONE))
            # What was deleted before it had reached a replica was never visible there, and is no event.
            if created if each.deletion == OK else not each.deletion:
                required = deleted if each.deletion else created
                found += [] if required else [f"{name} is not in the journal of {replica}"]
        both[replica] = {
            event.fqid for event in world.dss.catalog.events.since(replica) if event.type == CREATE
        }
    deleted_ones = {
        Fqid(each.bundle.uuid, each.bundle.version) for each in world.written.values() if each.deletion
    }
    purged = {Fqid(each.uuid, each.version) for each in world.purged.values()}
    first, second = both.values()
    return [*found, *(f"{fqid} is in one journal only" for fqid in (first ^ second) - deleted_ones - purged)]


def _listed(world: World, replica: str) -> Counter[str]:
    pages = world.api("DSS_ADMIN_TOKEN").pages("/v1/events", replica=replica, per_page=10)
    streams = (stream for page in pages for stream in page.json().get("event_streams", ()))
    return Counter(event["event_id"] for stream in streams for event in stream["events"])


def followed(world: World) -> list[str]:
    """Return the events that were missed by somebody who went on from the last one each time."""
    api = world.api("DSS_ADMIN_TOKEN")
    found = []
    for replica in REPLICAS:
        follow_on(world, api, replica)
        seen = world.followed[replica]
        missed = _listed(world, replica).keys() - seen.keys()
        found += [f"{event} of {replica} was missed" for event in sorted(missed)]
    return found


def deliveries(world: World) -> list[str]:
    """Return the bundles of which a subscriber that always answers was sent nothing."""
    got = {
        f"{call.json['match']['bundle_uuid']}.{call.json['match']['bundle_version']}"
        for call in list(world.server.calls)
        if call.path.startswith("/ok")
    }
    return [f"{name} was not delivered" for name in sorted(visible(world) - got)]
