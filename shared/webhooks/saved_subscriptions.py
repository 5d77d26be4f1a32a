"""All subscriptions of a replica as one object in each bucket, so that they outlive the catalog.

`subscriptions/{replica}.{generation}.{key}` has those of one generation (`shared.catalog.subscriptions`),
encrypted as a whole by the key of that id: callback URLs and form fields may have secrets, too. Once it is
written, those before it are removed.

The catalog notes which generation it is about to save. A bucket that has a later one than that has the
subscriptions of a catalog that was lost, and is left as it is until they are restored.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cryptography.fernet import InvalidToken

from shared.catalog import MOST_SUBSCRIPTIONS, Subscription
from shared.errors import Conflict, DssError
from shared.identifiers import SAVED_SUBSCRIPTIONS
from shared.replicas import Replica
from shared.secret_keys import key_id, secret_keys
from shared.system import Dss

_NAME = re.compile(r"subscriptions/(?P<of>[^/]+)\.(?P<generation>[0-9]{12})\.(?P<key_id>[0-9a-f]+)")
_CONTENT_TYPE = "application/octet-stream"
_TIMES = ("created", "signed_in")


@dataclass(frozen=True, kw_only=True)
class SavedName:
    """The name of an object with the subscriptions `of` a replica."""

    of: str
    generation: int
    key_id: str

    @property
    def key(self) -> str:
        """The key of the object in a bucket."""
        return f"{SAVED_SUBSCRIPTIONS}{self.of}.{self.generation:012d}.{self.key_id}"


@dataclass(frozen=True, kw_only=True)
class RestoredSubscription:
    """The outcome for a subscription, or for an object; see `shared.maintenance.rebuild.Restored`."""

    key: str
    new: bool = False
    failed: str = ""


def save_subscriptions(dss: Dss, of: str) -> int:
    """Write a replica's subscriptions to the buckets that lack them as they are now; return to how many.

    Costs one read of Firestore and a list request for each bucket if nothing has changed, else also two
    reads for each subscription. Does nothing without a key. Raises Conflict, and writes nothing, if a bucket
    has the subscriptions of a catalog that was lost; and what a store raises.
    """
    if not dss.settings.secrets_key_file:
        return 0
    generation, saved = dss.catalog.subscriptions.generations(of)
    there = {replica.name: list(_names(replica, of)) for replica in dss.replicas}
    for replica in dss.replicas:
        _check_own(replica, there[replica.name], saved)
    name = SavedName(of=of, generation=generation, key_id=key_id(dss.settings.secrets_key_file))
    lacking = [replica for replica in dss.replicas if name not in there[replica.name]]
    if generation and lacking:
        content = _content(dss, name)
        for replica in lacking:
            replica.store.create(replica.bucket, name.key, content, _CONTENT_TYPE)
    for replica in dss.replicas:
        for old in there[replica.name]:
            if old != name:
                replica.store.delete(replica.bucket, old.key)
    return len(lacking) if generation else 0


def _check_own(replica: Replica, there: Sequence[SavedName], saved: int) -> None:
    """Raise Conflict unless this catalog, or one that it follows, has written what is there."""
    for name in there:
        if name.generation > saved:
            raise Conflict(
                f"{replica.bucket}: {name.key} is of a catalog that was lost, and its subscriptions are not "
                f"restored; run: dss admin rebuild --replica {replica.name}"
            )


def _content(dss: Dss, name: SavedName) -> bytes:
    """Return all subscriptions of a replica, with their secrets as the catalog has them, encrypted."""
    catalog = dss.catalog.subscriptions
    # Before there are objects: if this process is killed, the next one finds that they are its own.
    catalog.note_saved(name.of, name.generation)
    subscriptions = catalog.of_replica(name.of)
    secrets = catalog.secrets(one.uuid for one in subscriptions if one.signed)
    rows = [{**_as_row(one), "secret": secrets.get(one.uuid)} for one in subscriptions]
    keys = secret_keys(dss.settings.secrets_key_file)
    return keys.encrypt(zlib.compress(json.dumps(rows).encode()))


def _names(replica: Replica, of: str = "") -> Iterator[SavedName]:
    """Yield the names of a bucket's objects, in order of replica and generation."""
    for stored in replica.store.list(replica.bucket, f"{SAVED_SUBSCRIPTIONS}{of}"):
        if found := _NAME.fullmatch(stored.key):
            name = SavedName(of=found["of"], generation=int(found["generation"]), key_id=found["key_id"])
            if not of or name.of == of:
                yield name


def restore_subscriptions(dss: Dss, replica: Replica, *, dry_run: bool) -> Iterator[RestoredSubscription]:
    """Yield the outcome for each subscription that a bucket has, of all replicas. Safe to repeat.

    Those that the catalog has already stay as they are. With `dry_run` nothing is changed.
    """
    latest = {name.of: name for name in _names(replica)}
    for name in latest.values():
        try:
            rows = _read(dss, replica, name)
        except (DssError, ValueError, OSError) as error:
            why = error.title if isinstance(error, DssError) else str(error)
            yield RestoredSubscription(key=name.key, failed=why)
            continue
        outcomes = [_restored(dss, row, known, dry_run=dry_run) for row, known in _with_known(dss, rows)]
        yield from outcomes
        if not dry_run and not any(one.failed for one in outcomes):
            dss.catalog.subscriptions.follow(name.of, name.generation)


def _read(dss: Dss, replica: Replica, name: SavedName) -> Sequence[Mapping[str, Any]]:
    """Return the rows of an object. Raises ValueError if no key decrypts it."""
    if not dss.settings.secrets_key_file:
        raise ValueError("set DSS_SECRETS_KEY_FILE to a file with the keys of the deployment")
    data = replica.store.read_all(replica.bucket, name.key)
    try:
        content = secret_keys(dss.settings.secrets_key_file).decrypt(data)
    except InvalidToken:
        raise ValueError(f"no key of DSS_SECRETS_KEY_FILE decrypts it; key {name.key_id} does") from None
    rows: list[Mapping[str, Any]] = json.loads(zlib.decompress(content))
    return rows


def _with_known(
    dss: Dss, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[tuple[Subscription, str | None], bool]]:
    parsed = [(_of_row(row), row["secret"]) for row in rows]
    known = dss.catalog.subscriptions.known(one.uuid for one, _ in parsed)
    yield from ((row, row[0].uuid in known) for row in parsed)


def _restored(
    dss: Dss, row: tuple[Subscription, str | None], known: bool, *, dry_run: bool
) -> RestoredSubscription:
    subscription, secret = row
    key = f"{SAVED_SUBSCRIPTIONS}{subscription.uuid}"
    try:
        if not known and not dry_run:
            dss.catalog.subscriptions.add(subscription, secret=secret, at_most=MOST_SUBSCRIPTIONS)
    except DssError as error:
        return RestoredSubscription(key=key, failed=error.title)
    return RestoredSubscription(key=key, new=not known)


def _as_row(subscription: Subscription) -> dict[str, Any]:
    row = asdict(subscription)
    for name in _TIMES:
        row[name] = _text(row[name])
    row["groups"] = sorted(subscription.groups)
    row["last_pause"] = [_text(time) for time in subscription.last_pause or ()]
    return row


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _of_row(row: Mapping[str, Any]) -> Subscription:
    fields = {name: value for name, value in row.items() if name != "secret"}
    for name in _TIMES:
        fields[name] = datetime.fromisoformat(fields[name]) if fields[name] else None
    fields["groups"] = frozenset(fields["groups"])
    began, *ended = map(datetime.fromisoformat, fields["last_pause"]) if fields["last_pause"] else (None,)
    fields["last_pause"] = (began, *ended) if began else None
    return Subscription(**fields)
