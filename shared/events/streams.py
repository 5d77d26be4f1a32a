"""Streams: some events of a journal, which the API serves to who may not have the journal's object.

A token names a journal and those of its events that a reader may see. It is encrypted and authenticated, so
that nobody else makes one, and it says nothing of the other events. It expires as signed URLs do, and ends
earlier if who may read one of its events changes so that its reader may not.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import InvalidToken

from shared.catalog import Journal, JournalEntry
from shared.errors import Forbidden
from shared.events.journal import ListedJournal
from shared.secret_keys import secret_keys
from shared.system import Dss

# A range of a journal's object: the first byte, and the number of bytes.
Span = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Events of a journal, in order, as one sequence of bytes. No other stream has its `name`."""

    name: str
    journal: Journal
    entries: Sequence[JournalEntry]

    @property
    def size(self) -> int:
        """The size in bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def spans(self) -> list[Span]:
        """The ranges of the journal's object that the stream is made of."""
        return list(_joined(self.entries))


def stream_token(dss: Dss, listed: ListedJournal, labels: frozenset[str]) -> str | None:
    """Return the token of the events that a reader with these labels sees of a journal.

    None if the deployment has no keys, DSS_SECRETS_KEY_FILE.
    """
    if not dss.settings.secrets_key_file:
        return None
    journal = listed.whole
    seen = {entry.event_id for entry in listed.seen.entries}
    mask = sum(1 << number for number, entry in enumerate(journal.entries) if entry.event_id in seen)
    # Of the labels those that matter, to keep the URL short.
    known = frozenset[str]().union(*map(journal.labels_of, journal.entries))
    content = {
        "journal": [journal.replica, journal.id],
        "events": f"{mask:x}",
        "labels": sorted(labels & known),
    }
    encoded = json.dumps(content, separators=(",", ":")).encode()
    return (
        secret_keys(dss.settings.secrets_key_file)
        .encrypt_at_time(encoded, _seconds(dss.clock.now()))
        .decode()
    )


def open_stream(dss: Dss, token: str) -> Stream:
    """Return the stream of a token, in one read. Raises Forbidden if it is none, or is not valid any more."""
    if not dss.settings.secrets_key_file:
        raise Forbidden("token: this deployment gives out none")
    try:
        encoded = secret_keys(dss.settings.secrets_key_file).decrypt_at_time(
            token, ttl=dss.settings.signed_url_seconds, current_time=_seconds(dss.clock.now())
        )
        content = json.loads(encoded)
        [replica, name] = content["journal"]
        mask = int(content["events"], 16)
    except (InvalidToken, ValueError, LookupError) as error:
        raise Forbidden("token: it is not of this system, or has expired; list the journals again") from error
    journal = dss.catalog.journals.get(replica, name)
    if journal is None:
        raise Forbidden("token: the journal does not exist any more; list the journals again")
    entries = [entry for number, entry in enumerate(journal.entries) if mask >> number & 1]
    if any(journal.labels_of(entry).isdisjoint(content["labels"]) for entry in entries):
        raise Forbidden("token: who may read these events has changed; list the journals again")
    return Stream(name=f"{name}.{mask:x}", journal=journal, entries=entries)


def _joined(entries: Sequence[JournalEntry]) -> Iterator[Span]:
    """Yield the spans of entries, those without a gap between them as one."""
    first, end = 0, 0
    for entry in entries:
        if entry.offset != end:
            if end > first:
                yield first, end - first
            first = entry.offset
        end = entry.offset + entry.size
    if end > first:
        yield first, end - first


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
