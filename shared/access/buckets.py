"""Decisions about buckets: who may put files from them, and who may check out into them. Pure.

The system reads and writes buckets with rights of its own, so callers may use only what is meant for them:
sources are where the settings say; a destination is a bucket that the settings allow, or whose owner has
put an object into it that names the caller. The system's own buckets are neither, for nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.access.policy import Decision, Verdict
from shared.access.principals import Principal
from shared.access.readers import SIGNED_IN
from shared.bucket_rules import BucketRule, all_of
from shared.config import Settings

# The object by which the owner of a bucket allows checkouts into it.
PROOF_KEY = ".dss-checkout-allowed"
# Some hundred addresses. Whom more are to be allowed for have a group.
MAX_PROOF_BYTES = 16 * 1024
# Groups of the caller that a refusal names.
_NAMED_GROUPS = 3

_ALLOWED = Decision(verdict=Verdict.ALLOWED)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the object PROOF_KEY of a bucket says: e-mail addresses and groups; or why it says nothing."""

    names: frozenset[str] = frozenset()
    flaw: str = "does not name you"

    @classmethod
    def parse(cls, content: bytes) -> "Proof":
        """Return the proof of an object's content: UTF-8, one name a line."""
        try:
            # Some editors put a mark of the byte order in front.
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            return cls(flaw="is not text in UTF-8")
        return cls(names=frozenset(line.strip() for line in lines) - {""})


@dataclass(frozen=True, kw_only=True)
class BucketPolicy:
    """What a deployment allows with buckets; all are URLs, as `gs://bucket`."""

    own: frozenset[str] = frozenset()
    staging: tuple[str, ...] = ()
    sources: tuple[BucketRule, ...] = ()
    destinations: tuple[BucketRule, ...] = ()
    contact: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "BucketPolicy":
        """Return the policy of the settings: sources are in staging buckets, and where DSS_SOURCES says."""
        named = (("gs", settings.gs_staging_bucket), ("s3", settings.s3_staging_bucket))
        staging = tuple(f"{scheme}://{bucket}" for scheme, bucket in named if bucket)
        everybody = frozenset((SIGNED_IN,))
        return cls(
            own=frozenset(_own_buckets(settings)),
            staging=staging,
            sources=(*(all_of(bucket, everybody) for bucket in staging), *settings.sources),
            destinations=settings.destinations,
            contact=settings.access_contact,
        )

    def source(self, who: Principal, url: str) -> Decision:
        """Return whether somebody may put a file from the object at a URL."""
        bucket = _bucket_of(url)
        if not who.is_known:
            return _unauthorized("source_url: needs a token: sign in")
        if bucket in self.own:
            return _forbidden(f"source_url: {bucket} is a bucket of this system; {self._where_to_stage}")
        if _is_allowed(who, url, self.sources):
            return _ALLOWED
        return _forbidden(
            f"source_url: {who.email} may not put files from {url[:200]}; {self._where_to_stage}, or ask "
            f"{self.contact or 'an operator'} to allow that bucket for a group of yours (DSS_SOURCES)"
        )

    def may_name(self, who: Principal, bucket: str) -> Decision:
        """Return whether somebody may name the bucket at a URL as a destination at all."""
        if not who.is_known:
            return _unauthorized("destination: a checkout into a bucket of yours needs a token: sign in")
        # Those who may stage could prove that a staging bucket is theirs.
        if bucket in self.own or bucket in map(_bucket_of, self.staging):
            return _forbidden(f"destination: {bucket} is a bucket of this system; choose one of your own")
        return _ALLOWED

    def lists(self, who: Principal, bucket: str) -> bool:
        """Return whether DSS_DESTINATIONS lets somebody check out into the bucket at a URL."""
        return self.may_name(who, bucket).is_allowed and _is_allowed(who, bucket, self.destinations)

    def proved(self, who: Principal, bucket: str, proof: Proof) -> Decision:
        """Return whether somebody may check out into the bucket at a URL, by the proof that is in it."""
        decision = self.may_name(who, bucket)
        if not decision.is_allowed or not proof.names.isdisjoint({who.email, *who.groups}):
            return decision
        groups = ", ".join(sorted(who.groups)[:_NAMED_GROUPS])
        return _forbidden(
            f"destination: {bucket}: its owner has not allowed {who.email} to check out into it: the object "
            f"{PROOF_KEY} {proof.flaw}. Put an object {bucket}/{PROOF_KEY} there, a text with the line "
            f"{who.email}" + (f", or with a group of yours: {groups}" if groups else "")
        )

    @property
    def _where_to_stage(self) -> str:
        return f"put the object into {' or '.join(self.staging) or 'a bucket that is for sources'}"


def _own_buckets(settings: Settings) -> Iterable[str]:
    """Yield the URLs of the buckets that are the system's alone."""
    yield from (f"gs://{bucket}" for bucket in (settings.gs_bucket, settings.gs_checkout_bucket))
    yield from (f"s3://{bucket}" for bucket in (settings.s3_bucket, settings.s3_checkout_bucket))
    if settings.reports_bucket:
        yield f"gs://{settings.reports_bucket}"
    for replica in settings.extra_replicas:
        yield from (f"{replica.scheme}://{bucket}" for bucket in (replica.bucket, replica.checkout_bucket))


def _is_allowed(who: Principal, url: str, rules: Iterable[BucketRule]) -> bool:
    names = who.groups | {SIGNED_IN} if who.is_known else frozenset()
    return any(not rule.groups.isdisjoint(names) and rule.covers(url) for rule in rules)


def _bucket_of(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _unauthorized(reason: str) -> Decision:
    return Decision(verdict=Verdict.UNAUTHORIZED, reason=reason)


def _forbidden(reason: str) -> Decision:
    return Decision(verdict=Verdict.FORBIDDEN, reason=reason)
