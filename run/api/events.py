"""Events: `/events/{uuid}`, the document of a bundle version; `/events` and `/journals`, the journals."""

import base64
import binascii
from typing import Any
from urllib.parse import urlencode

from flask import Response

from run.api.call import Call
from run.api.json_text import NEWLINE
from run.api.object_files import object_answer
from run.api.pagination import page
from shared.access import Resource, labels_sought
from shared.api_path import api_url
from shared.catalog import BundleHead
from shared.errors import BadRequest, IllegalArguments, IllegalToken, NotFound
from shared.events.documents import document_of
from shared.events.journal import ListedJournal, journals, next_start
from shared.events.streams import open_stream, stream_token
from shared.identifiers import Fqid, Kind, check_version


def get(call: Call, *, uuid: str, version: str, replica: str) -> Response:
    """Return the metadata document of a bundle version; of a hidden one, that of its tombstone."""
    fqid = Fqid(uuid, version)
    head = call.dss.catalog.bundles.head(fqid)
    if not call.sees(_resource(head) if head else call.resource(Kind.BUNDLE, uuid)):
        raise NotFound(f"replica {replica} has no bundle {fqid}")
    if head is None or not head.was_visible(replica):
        if not call.sees(call.resource(Kind.BUNDLE, uuid, version)):
            raise NotFound(f"replica {replica} has no bundle {fqid}")
        state = "pending" if head and head.available and not head.hidden else "absent"
        raise NotFound(f"replica {replica} has no bundle {fqid}", replica_state=state)
    document = document_of(call.dss, call.dss.replicas.named(replica), head)
    return Response([document, NEWLINE], mimetype="application/json")


def list_journals(
    call: Call,
    *,
    from_date: str | None,
    to_date: str | None,
    replica: str,
    per_page: int,
    token: str | None,
) -> Response:
    """List the journals of a replica in order of time, each with its events between the two dates.

    Only events of bundles that the caller may read, and journals that have such events.
    """
    start = check_version(from_date, "from_date") if from_date else ""
    stop = check_version(to_date, "to_date") if to_date else ""
    if stop and start > stop:
        raise BadRequest(f"from_date, to_date: {start} is later than {stop}")
    if token:
        start = max(start, _position(token))
    # One journal more than a page shows that there is another page.
    labels = labels_sought(call.dss.policy.counts_as(call.reader))
    listed = journals(call.dss, replica, labels=labels, start=start, stop=stop, count=per_page + 1)
    on_page = listed[:per_page]
    more = call.url(token=_token(next_start(on_page))) if len(listed) > per_page else None
    body = {"event_streams": [_shown(call, journal, labels) for journal in on_page]}
    return page(body, content_key="event_streams", next_url=more)


def read_journal(call: Call, *, token: str) -> Response:
    """Return events of a journal, those that the caller of `list_journals` could see."""
    stream = open_stream(call.dss, token)
    replica = call.dss.replicas.named(stream.journal.replica)
    stored = replica.store.stat(replica.bucket, stream.journal.key)
    return object_answer(
        replica.store,
        stored,
        stream.spans,
        content_type="application/octet-stream",
        tag=stream.name,
    )


def _shown(call: Call, listed: ListedJournal, labels: frozenset[str]) -> dict[str, Any]:
    journal = listed.seen
    shown = {
        "journal_id": journal.id,
        "from_date": journal.from_date,
        "to_date": journal.to_date,
        "size": journal.size,
        "events": [vars(entry) for entry in listed.entries],
        "stream_url": _stream_url(call, listed, labels),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _stream_url(call: Call, listed: ListedJournal, labels: frozenset[str]) -> str | None:
    """Return where to read a journal: its object, or the events of it that the caller may see.

    None for these if the deployment has no key to sign with.
    """
    if listed.is_whole:
        replica = call.dss.replicas.named(listed.whole.replica)
        lifetime = call.hands_out(listed.whole.id)
        return replica.store.sign_get(replica.bucket, listed.whole.key, lifetime=lifetime)
    token = stream_token(call.dss, listed, labels)
    if not token:
        return None
    call.hands_out(listed.whole.id)
    return f"{api_url(call.base_url)}/journals?{urlencode({'token': token})}"


def _resource(head: BundleHead) -> Resource:
    return Resource(name=f"bundle {head.fqid.uuid}", readers=head.content_readers)


def _token(start: str) -> str:
    return base64.urlsafe_b64encode(start.encode()).decode()


def _position(token: str) -> str:
    try:
        return check_version(base64.b64decode(token, altchars=b"-_", validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError, IllegalArguments) as error:
        raise IllegalToken(f"token: {token[:80]!r} is not a token of this list") from error
