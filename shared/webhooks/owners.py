"""Owners: as whom a subscription acts, and for how long.

A subscription acts with the groups that its owner had at the last sign-in to any operation on subscriptions.
DSS_SUBSCRIPTION_DAYS later it pauses: nothing is sent until the owner signs in again, and may replay what was
missed. What its owner may not read is not sent, even if the subscription's query matches it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.access import Principal
from shared.catalog import BundleHead, Subscription
from shared.identifiers import Fqid
from shared.messages import BundleEvent
from shared.system import Dss
from shared.webhooks.notifications import SAMPLE

# A sign-in is not written again within this time, unless the groups have changed.
_WRITTEN_AGAIN = timedelta(days=1)


def acts_until(dss: Dss, subscription: Subscription) -> datetime | None:
    """Return when a subscription pauses, or has paused; None if it never does."""
    days = dss.settings.subscription_days
    return subscription.last_sign_in + timedelta(days=days) if days else None


def is_paused(dss: Dss, subscription: Subscription) -> bool:
    """Return whether the owner of a subscription has not signed in for too long."""
    end = acts_until(dss, subscription)
    return end is not None and end <= dss.clock.now()


def may_read(dss: Dss, subscription: Subscription, readers: frozenset[str]) -> bool:
    """Return whether the owner of a subscription, as last known, is among the readers of a document."""
    owner = Principal(
        email=subscription.owner,
        groups=subscription.groups,
        is_admin=subscription.owner in dss.settings.admin_user_emails,
    )
    return dss.policy.may_read(owner, readers)


def recipients(
    dss: Dss, event: BundleEvent, subscriptions: Collection[Subscription]
) -> Sequence[Subscription]:
    """Return the subscriptions that act, and whose owners may read the document of an event.

    One read of Firestore, unless none acts.
    """
    acting = [one for one in subscriptions if not is_paused(dss, one)]
    if not acting:
        return acting
    head = dss.catalog.bundles.head(Fqid(event.uuid, event.version))
    if is_purged(dss, event, head):
        return []
    readers = readers_of(dss, event, head)
    return [one for one in acting if may_read(dss, one, readers)]


def readers_of(dss: Dss, event: BundleEvent, head: BundleHead | None) -> frozenset[str]:
    """Return who may read the document of an event, given the head of its bundle version.

    If the catalog has lost the head, those to whom the UUID is bound; that takes a read.
    """
    if event.type == SAMPLE:
        return frozenset()
    if head is not None:
        return head.content_readers
    current = dss.catalog.bindings.current(event.uuid)
    return current.record.all_readers if current else frozenset()


def is_purged(dss: Dss, event: BundleEvent, head: BundleHead | None) -> bool:
    """Return whether the bundle of an event was removed for good, or is about to be.

    `head` is that of its version; without it, this takes a read.
    """
    if head is not None:
        return head.purged
    current = dss.catalog.bindings.current(event.uuid)
    return current is not None and bool(current.purged(event.version))


def after_sign_in(dss: Dss, owner: Principal, subscriptions: Sequence[Subscription]) -> list[Subscription]:
    """Return subscriptions as they act after a sign-in of an owner: those of others stay as they are.

    All subscriptions of the owner follow, if one of these has to.
    """
    if not any(one.owner == owner.email and _is_old(dss, owner, one) for one in subscriptions):
        return list(subscriptions)
    changed = sign_in_to_all(dss, owner)
    return [changed.get(one.uuid, one) for one in subscriptions]


def sign_in_to_all(dss: Dss, owner: Principal) -> Mapping[str, Subscription]:
    """Have all subscriptions of an owner who has just signed in act with the groups of now; a read each.

    At most one write a day for each, unless the groups have changed. Returns what was changed, by UUID.
    """
    owned = dss.catalog.subscriptions.every_of_owner(owner.email)
    now = dss.clock.now()
    changed = [_signed_in(dss, owner, one, now) for one in owned if _is_old(dss, owner, one)]
    dss.catalog.subscriptions.save_sign_in(changed)
    return {one.uuid: one for one in changed}


def _is_old(dss: Dss, owner: Principal, subscription: Subscription) -> bool:
    since = dss.clock.now() - subscription.last_sign_in
    return subscription.groups != owner.groups or since > _WRITTEN_AGAIN or is_paused(dss, subscription)


def _signed_in(dss: Dss, owner: Principal, subscription: Subscription, now: datetime) -> Subscription:
    began = acts_until(dss, subscription)
    pause = (began, now) if began and began <= now else subscription.last_pause
    return replace(subscription, groups=owner.groups, signed_in=now, last_pause=pause)
