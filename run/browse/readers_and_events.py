"""What is told of a bundle or file beside its content: who may read it, and what was published of it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from run.api.call import Call
from run.browse.status import is_operator
from run.browse.texts import time_text
from shared.access import NOBODY, SIGNED_IN, Resource
from shared.api_path import api_url
from shared.catalog import BundleHead
from shared.identifiers import event_ids


@dataclass(frozen=True)
class ShownEvent:
    """An event of a bundle version: its type, replica and time, its id, and the URL of its document."""

    type: str
    replica: str
    time: str
    id: str
    url: str


def readers_text(call: Call, readers: frozenset[str]) -> str:
    """Return who may read something with these readers, in words; operators are told the groups.

    Who sees a page of it is one of them.
    """
    policy = call.dss.policy
    if policy.is_open(Resource(name="", readers=readers)):
        return "everybody"
    names = readers or {policy.default}
    if SIGNED_IN in names:
        return "everybody who has signed in"
    if NOBODY in names:
        return "admins alone"
    text = "members of certain groups"
    return f"{text}: {', '.join(sorted(names))}" if is_operator(call) else text


def events_of(call: Call, head: BundleHead) -> list[ShownEvent]:
    """Return the events of a bundle version on all replicas, in order of time; a read for each.

    Empty if the caller may not read all that their documents have.
    """
    if not call.may_read(head.content_readers):
        return []
    found = call.dss.catalog.events.in_log(event_ids(call.dss.replicas.names, head.fqid))
    path = f"{api_url(call.base_url)}/events/{head.fqid.uuid}"
    return [
        ShownEvent(
            each.type,
            each.replica,
            time_text(each.timestamp),
            each.id,
            f"{path}?{urlencode({'version': head.fqid.version, 'replica': each.replica})}",
        )
        for each in sorted(found.values(), key=lambda event: event.timestamp)
    ]
