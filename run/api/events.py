"""Events: `/events/{uuid}`, the metadata document of a bundle version, and `/events`, the journals."""

import base64
import binascii
from typing import Any

from flask import Response

from run.api.call import Call
from run.api.pagination import page
from shared.catalog import Journal
from shared.errors import BadRequest, IllegalArguments, IllegalToken, NotFound
from shared.events.documents import document_of
from shared.events.journal import journals, next_start
from shared.identifiers import Fqid, check_version


def get(call: Call, *, uuid: str, version: str, replica: str) -> Response:
    """Return the metadata document of a bundle version; of a hidden one, that of its tombstone."""
    fqid = Fqid(uuid, version)
    head = call.dss.catalog.bundles.head(fqid)
    if head is None or not head.was_visible(replica):
        state = "pending" if head and head.available and not head.hidden else "absent"
        raise NotFound(f"replica {replica} has no bundle {fqid}", replica_state=state)
    document = document_of(call.dss, call.dss.replicas.named(replica), head)
    return Response(document, mimetype="application/json")


def list_journals(
    call: Call,
    *,
    from_date: str | None,
    to_date: str | None,
    replica: str,
    per_page: int,
    token: str | None,
) -> Response:
    """List the journals of a replica in order of time, each with its events between the two dates."""
    start = check_version(from_date, "from_date") if from_date else ""
    stop = check_version(to_date, "to_date") if to_date else ""
    if stop and start > stop:
        raise BadRequest(f"from_date, to_date: {start} is later than {stop}")
    if token:
        start = max(start, _position(token))
    # One journal more than a page shows that there is another page.
    listed = journals(call.dss, replica, start=start, stop=stop, count=per_page + 1)
    on_page = listed[:per_page]
    more = call.url(token=_token(next_start(on_page))) if len(listed) > per_page else None
    body = {"event_streams": [_shown(call, journal) for journal in on_page]}
    return page(body, content_key="event_streams", next_url=more)


def _shown(call: Call, journal: Journal) -> dict[str, Any]:
    replica = call.dss.replicas.named(journal.replica)
    lifetime = call.hands_out(journal.id)
    return {
        "journal_id": journal.id,
        "from_date": journal.from_date,
        "to_date": journal.to_date,
        "size": journal.size,
        "events": [vars(entry) for entry in journal.entries],
        "stream_url": replica.store.sign_get(replica.bucket, journal.key, lifetime=lifetime),
    }


def _token(start: str) -> str:
    return base64.urlsafe_b64encode(start.encode()).decode()


def _position(token: str) -> str:
    try:
        return check_version(base64.b64decode(token, altchars=b"-_", validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError, IllegalArguments) as error:
        raise IllegalToken(f"token: {token[:80]!r} is not a token of this list") from error
