"""The catalog of subscriptions: collection `subscriptions`, one document a subscription.

The secret that signs a subscription's calls is a document of its own, in `subscription_secrets`: code that
lists, matches and shows subscriptions never reads it. It is encrypted (`shared.webhooks.secrets`).

`subscription_slots` has a document for each subscription, named by its owner, replica and number: an owner
may have as many as there are numbers. To create one is to claim a free number, which needs no transaction:
with one, parallel requests of an owner wait for each other's locks, and fail after a while.

`subscription_sets` has one number for each replica, which grows with every change: a process that keeps all
subscriptions of a replica in memory checks with one read whether they are current, and then reads what has
changed (`shared.catalog.subscription_changes`). Beside it is the number at which they were last saved to the
buckets (`shared.webhooks.saved_subscriptions`).
"""

import hashlib
import json
import operator
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.firestore import FieldFilter
from google.cloud.firestore_v1 import ExistsOption

from shared.catalog.database import Database, NameTaken, Step, Write, create_document
from shared.catalog.subscription_changes import Position, SubscriptionChanges, changed_between
from shared.errors import NotAcceptable, Unprocessable


class SubscriptionKind(StrEnum):
    """The query language of a subscription, as the v1 contract names it."""

    ELASTICSEARCH = "elasticsearch"
    JMESPATH = "jmespath"


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A request to be notified of a replica's events.

    A subscription without a query is of kind JMESPATH, and every event matches it. `attachments` are JMESPath
    expressions by name. `signed` is whether it has a secret. `slot` is its number among its owner's on the
    replica. `groups` are those that its owner had at the last sign-in, `signed_in`. `last_pause` is when it
    last paused because that was long ago, and when it went on.
    """

    uuid: str
    replica: str
    owner: str
    callback_url: str
    created: datetime
    method: str = "POST"
    encoding: str = "application/json"
    form_fields: Mapping[str, str] = field(default_factory=dict)
    payload_form_field: str = "payload"
    jmespath_query: str | None = None
    es_query: Mapping[str, Any] | None = None
    attachments: Mapping[str, str] = field(default_factory=dict)
    hmac_key_id: str | None = None
    signed: bool = False
    slot: int = 0
    groups: frozenset[str] = frozenset()
    signed_in: datetime | None = None
    last_pause: tuple[datetime, datetime] | None = None

    @property
    def last_sign_in(self) -> datetime:
        """When its owner has last signed in to an operation on subscriptions."""
        return self.signed_in or self.created

    @property
    def kind(self) -> SubscriptionKind:
        """The query language."""
        return SubscriptionKind.JMESPATH if self.es_query is None else SubscriptionKind.ELASTICSEARCH


@dataclass(frozen=True, kw_only=True)
class SubscriptionSet:
    """All subscriptions of a replica, by UUID, and up to which of its changes."""

    position: Position
    by_uuid: Mapping[str, Subscription]


# Most subscriptions of one owner on one replica, of both kinds together.
MOST_SUBSCRIPTIONS = 100
# Stored as one JSON value: Firestore has no lists in lists, and no query uses these fields.
_DEFINITION = (
    *("callback_url", "method", "encoding", "form_fields", "payload_form_field", "jmespath_query"),
    *("es_query", "attachments", "hmac_key_id", "signed"),
)


class SubscriptionCatalog:
    """Reads and writes of subscriptions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collection = database.client.collection("subscriptions")
        self._secrets = database.client.collection("subscription_secrets")
        self._backoffs = database.client.collection("subscriber_backoffs")
        self._slots = database.client.collection("subscription_slots")
        self._sets = database.client.collection("subscription_sets")
        self._changes = SubscriptionChanges(database)

    def add(
        self,
        subscription: Subscription,
        *,
        secret: str | None,
        at_most: int,
        is_same_secret: Callable[[str | None], bool] | None = None,
    ) -> None:
        """Write a new subscription; every event that is matched after this has returned is matched with it.

        `secret` is encrypted; `is_same_secret` compares it with a stored one, since one secret has many
        encrypted forms. Safe to repeat. Raises NotAcceptable if its owner has `at_most` on the replica
        already, and Unprocessable if another subscription has its UUID.
        """
        while True:
            slot = self._free_slot(subscription, at_most)
            try:
                self._create(replace(subscription, slot=slot), secret)
                return
            except NameTaken:
                existing = self.get(subscription.uuid)
            if existing is not None:
                is_same = is_same_secret or partial(operator.eq, secret)
                if not self._is_same(existing, subscription) or not is_same(self.secret(subscription.uuid)):
                    raise Unprocessable("Idempotency-Key: it was sent with another subscription before")
                return
            # Another subscription of the owner has taken the slot meanwhile.

    def _free_slot(self, subscription: Subscription, at_most: int) -> int:
        owned = self._database.query(
            self._of_owner(subscription.owner, subscription.replica).select(["slot"])
        )
        free = set(range(at_most)) - {snapshot.get("slot") for snapshot in owned}
        if not free and self.get(subscription.uuid) is None:
            raise NotAcceptable(
                f"{subscription.owner} has {at_most} subscriptions on replica {subscription.replica}, "
                "which is the limit; delete one first"
            )
        # Any, so that several at a time seldom try the same one.
        return random.choice(sorted(free)) if free else 0

    def _create(self, subscription: Subscription, secret: str | None) -> None:
        """Write a subscription with its slot and secret, in one commit. Raises NameTaken."""
        writes = [
            create_document(self._slot_of(subscription), {"subscription": subscription.uuid}),
            create_document(self._collection.document(subscription.uuid), _to_document(subscription)),
        ]
        if secret is not None:
            writes.append(create_document(self._secrets.document(subscription.uuid), {"secret": secret}))
        self._database.commit(*writes, self._changes.note(subscription.replica, subscription.uuid))

    @staticmethod
    def _is_same(existing: Subscription, subscription: Subscription) -> bool:
        return bool(_to_document(existing)["definition"] == _to_document(subscription)["definition"])

    def get(self, uuid: str) -> Subscription | None:
        """Return a subscription, in one read."""
        snapshot = self._database.get(self._collection.document(uuid))
        return subscription_of(snapshot) if snapshot.exists else None

    def secret(self, uuid: str) -> str | None:
        """Return the encrypted secret of a subscription, in one read; None if it has none."""
        snapshot = self._database.get(self._secrets.document(uuid))
        return str(snapshot.get("secret")) if snapshot.exists else None

    def change_secret(self, subscription: Subscription, change: Callable[[str], str]) -> None:
        """Write the encrypted secret of a subscription in another form, if it still has one."""

        def step(current: Any) -> Step | None:
            if not current.exists:
                return None
            noted = self._changes.note(subscription.replica, subscription.uuid)
            return {"secret": change(str(current.get("secret")))}, [noted]

        self._database.advance(self._secrets.document(subscription.uuid), step)

    def secrets(self, uuids: Iterable[str]) -> Mapping[str, str]:
        """Return the encrypted secrets of those of some subscriptions that have one; one read each."""
        references = list(map(self._secrets.document, uuids))
        return {one.id: str(one.get("secret")) for one in self._database.get_many(references)}

    def known(self, uuids: Iterable[str]) -> frozenset[str]:
        """Return which of these subscriptions exist; one read each."""
        references = list(map(self._collection.document, uuids))
        return frozenset(one.id for one in self._database.get_many(references, ["replica"]))

    def of_owner(self, owner: str, replica: str) -> list[Subscription]:
        """Return an owner's subscriptions on a replica, oldest first; one read each."""
        subscriptions = map(subscription_of, self._database.query(self._of_owner(owner, replica)))
        return sorted(subscriptions, key=lambda subscription: (subscription.created, subscription.uuid))

    def of_replica(self, replica: str) -> list[Subscription]:
        """Return all subscriptions on a replica, in no order; one read each."""
        query = self._collection.where(filter=FieldFilter("replica", "==", replica))
        return list(map(subscription_of, self._database.query(query)))

    def is_current(self, replica: str, known: SubscriptionSet) -> bool:
        """Return whether what is known of a replica's subscriptions is all that there is, in one read."""
        return known.position.generation == self._changes.generations(replica)[0]

    def current(self, replica: str, known: SubscriptionSet | None = None) -> SubscriptionSet:
        """Return all subscriptions of a replica, including all that were created before this call.

        Some reads, and one for each that has changed since what is `known`; or one for each that there is.
        """
        followed = self._followed(replica, known) if known else None
        if followed:
            return followed
        # Before the subscriptions: what changes after this leads to another number at the next call.
        position = self._changes.position(replica)
        return SubscriptionSet(position=position, by_uuid={one.uuid: one for one in self.of_replica(replica)})

    def _followed(self, replica: str, known: SubscriptionSet) -> SubscriptionSet | None:
        """Return what is known with the changes since then; None if these are not known."""
        position = self._changes.position(replica, known.position.reached)
        changed = changed_between(known.position, position)
        if changed is None:
            return None
        by_uuid = {uuid: one for uuid, one in known.by_uuid.items() if uuid not in changed}
        found = self._database.get_many(list(map(self._collection.document, sorted(changed))))
        by_uuid.update((snapshot.id, subscription_of(snapshot)) for snapshot in found)
        return SubscriptionSet(position=position, by_uuid=by_uuid)

    def generations(self, replica: str) -> tuple[int, int]:
        """Return a number that grows with every change of a replica's subscriptions, in one read.

        With it comes what it was when they were last saved.
        """
        return self._changes.generations(replica)

    def note_saved(self, replica: str, generation: int) -> None:
        """Note that the subscriptions of a generation are about to be saved."""
        reference = self._sets.document(replica)
        self._database.commit(lambda batch: batch.set(reference, {"saved": generation}, merge=True))

    def follow(self, replica: str, generation: int) -> None:
        """Make what this catalog has the successor of a generation that another one has saved."""

        def step(current: Any) -> Step | None:
            found = current.to_dict() or {}
            if found.get("saved", 0) >= generation:
                return None
            after = max(found.get("generation", 0), generation) + 1
            return {"generation": after, "saved": generation}, ()

        self._database.advance(self._sets.document(replica), step)

    def every_of_owner(self, owner: str) -> list[Subscription]:
        """Return an owner's subscriptions on all replicas, in no order; one read each."""
        query = self._collection.where(filter=FieldFilter("owner", "==", owner))
        return list(map(subscription_of, self._database.query(query)))

    def save_sign_in(self, subscriptions: Sequence[Subscription]) -> None:
        """Write the sign-in of their owner on subscriptions that exist, in one commit."""
        remaining = list(subscriptions)
        while remaining:
            writes: list[Write] = [self._sign_in_of(one) for one in remaining]
            for replica in sorted({one.replica for one in remaining}):
                writes.append(
                    self._changes.note(replica, *(one.uuid for one in remaining if one.replica == replica))
                )
            try:
                self._database.commit(*writes)
                return
            except NotFound:
                known = [one for one in remaining if self.get(one.uuid)]
                if len(known) == len(remaining):
                    raise
                remaining = known

    def _sign_in_of(self, subscription: Subscription) -> Write:
        reference = self._collection.document(subscription.uuid)
        return lambda batch: batch.update(reference, _sign_in_to_document(subscription))

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription, its secret, slot and backoff, in one commit. Safe to repeat."""
        # If it is removed already, another subscription may have its slot.
        exists = ExistsOption(exists=True)
        writes: list[Write] = [
            lambda batch: batch.delete(self._collection.document(subscription.uuid), option=exists),
            lambda batch: batch.delete(self._secrets.document(subscription.uuid)),
            lambda batch: batch.delete(self._backoffs.document(subscription.uuid)),
            lambda batch: batch.delete(self._slot_of(subscription)),
        ]
        with suppress(NotFound):
            self._database.commit(*writes, self._changes.note(subscription.replica, subscription.uuid))

    def _slot_of(self, subscription: Subscription) -> Any:
        owner = hashlib.sha256(json.dumps([subscription.replica, subscription.owner]).encode()).hexdigest()
        return self._slots.document(f"{owner[:32]}-{subscription.slot:03d}")

    def _of_owner(self, owner: str, replica: str) -> Any:
        mine = self._collection.where(filter=FieldFilter("owner", "==", owner))
        return mine.where(filter=FieldFilter("replica", "==", replica))


def _to_document(subscription: Subscription) -> dict[str, Any]:
    return {
        "replica": subscription.replica,
        "owner": subscription.owner,
        "created": subscription.created,
        "slot": subscription.slot,
        **_sign_in_to_document(subscription),
        "definition": json.dumps({name: getattr(subscription, name) for name in _DEFINITION}),
    }


def _sign_in_to_document(subscription: Subscription) -> dict[str, Any]:
    return {
        "groups": sorted(subscription.groups),
        "signed_in": subscription.last_sign_in,
        "last_pause": list(subscription.last_pause or ()),
    }


def subscription_of(snapshot: Any) -> Subscription:
    """Return the subscription that a document holds."""
    document = snapshot.to_dict()
    return Subscription(
        uuid=snapshot.id,
        replica=document["replica"],
        owner=document["owner"],
        created=document["created"],
        slot=document["slot"],
        groups=frozenset(document["groups"]),
        signed_in=document["signed_in"],
        last_pause=tuple(document["last_pause"]) or None,
        **json.loads(document["definition"]),
    )
