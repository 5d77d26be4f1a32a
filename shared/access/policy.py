"""The decision: whether a principal may do something with something, and why not."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from shared.access.principals import Principal
from shared.access.readers import DEFAULT, NOBODY, PUBLIC, SIGNED_IN
from shared.config import Settings
from shared.errors import DssError, Forbidden, Gone, NotFound, Unauthorized


class Action(StrEnum):
    """What somebody wants to do."""

    # Call an operation that needs sign-in, and one that needs a group that may write.
    CALL = "call"
    CONTRIBUTE = "contribute"
    # See that something is there, its metadata and its content.
    READ = "read"
    # Write a version, also the first.
    WRITE = "write"
    # Hide a version or a UUID by a tombstone, or end what belongs to a person.
    DELETE = "delete"
    # Have a copy put where others read: the shared checkout bucket.
    SHARE = "share"
    # Change who may do what; see and change what is everybody's.
    ADMINISTER = "administer"


class Verdict(StrEnum):
    """How a decision ends."""

    ALLOWED = "allowed"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    HIDDEN = "hidden"
    PURGED = "purged"


_ERRORS: dict[Verdict, type[DssError]] = {
    Verdict.UNAUTHORIZED: Unauthorized,
    Verdict.FORBIDDEN: Forbidden,
    Verdict.HIDDEN: NotFound,
    Verdict.PURGED: Gone,
}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What is asked for: an object, or an operation.

    `readers` are those who may read it, none for the deployment's default. `owner` is the e-mail address of
    the person to whom it belongs: then only they and its readers may read it. `owner_group` is the group
    whose members alone may write it. `purged` is the reason for which it was removed for good.
    """

    name: str
    readers: frozenset[str] = frozenset()
    owner: str = ""
    owner_group: str = ""
    purged: str = ""

    @property
    def is_managed(self) -> bool:
        """Whether only some may read it, by a binding of its own."""
        return bool(self.readers) and PUBLIC not in self.readers


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict, and the reason for it, if it is a refusal."""

    verdict: Verdict
    reason: str = ""

    @property
    def is_allowed(self) -> bool:
        """Whether the action may be done."""
        return self.verdict is Verdict.ALLOWED

    def require(self) -> None:
        """Raise Unauthorized, Forbidden, NotFound or Gone, with the reason, unless the action is allowed.

        A caller who must not learn that something is there raises what it would raise if it weren't.
        """
        if not self.is_allowed:
            raise _ERRORS[self.verdict](self.reason)


_ALLOWED = Decision(verdict=Verdict.ALLOWED)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a deployment allows; the fields are settings."""

    default: str = PUBLIC
    write_groups: frozenset[str] = frozenset()
    hide_managed: bool = False
    contact: str = ""
    _defaults: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_defaults", frozenset((self.default,)))

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        """Return the policy of the settings."""
        return cls(
            default=settings.default_access,
            write_groups=frozenset(settings.write_groups),
            hide_managed=settings.hide_managed,
            contact=settings.access_contact,
        )

    def decide(self, who: Principal, action: Action, what: Resource) -> Decision:
        """Return whether a principal may do something with something, or the reason why not. Pure."""
        match action:
            case Action.CALL:
                return self._signed_in(who, what)
            case Action.READ:
                return self._read(who, what)
            case Action.SHARE:
                return self._share(who, what)
            case Action.CONTRIBUTE:
                return self._contribute(who, what)
            case Action.WRITE:
                return self._write(who, what)
            case Action.DELETE:
                return self._delete(who, what)
            case Action.ADMINISTER:
                return self._administer(who, what)

    def is_open(self, what: Resource) -> bool:
        """Return whether everybody may read something, so that it need not be known who asks."""
        by_default = frozenset[str]() if what.owner else self._defaults
        return not what.purged and PUBLIC in (what.readers or by_default)

    def counts_as(self, who: Principal) -> frozenset[str] | None:
        """Return the readers as which a principal counts in queries; None for all: admins read everything."""
        if who.is_admin:
            return None
        names = self._names(who)
        return names | {DEFAULT} if self.default in names else names

    def may_read(self, who: Principal, readers: Iterable[str]) -> bool:
        """Return whether a principal is among the readers of something that belongs to no person."""
        return self._read(who, Resource(name="", readers=frozenset(readers))).is_allowed

    @staticmethod
    def _names(who: Principal) -> frozenset[str]:
        # A token may claim any group, but not to be what stands for other readers.
        own = who.groups - {PUBLIC, SIGNED_IN, DEFAULT, NOBODY}
        return own | ({PUBLIC, SIGNED_IN} if who.is_known else {PUBLIC})

    def _read(self, who: Principal, what: Resource) -> Decision:
        if not self._is_reader(who, what):
            return self._not_for(who, what, "read")
        return _present(what)

    def _is_reader(self, who: Principal, what: Resource) -> bool:
        if who.is_admin or (what.owner_group and what.owner_group in who.groups):
            return True
        if what.owner:
            return who.email == what.owner or not what.readers.isdisjoint(self._names(who))
        return not (what.readers or self._defaults).isdisjoint(self._names(who))

    def _share(self, who: Principal, what: Resource) -> Decision:
        decision = self._read(who, what)
        if decision.is_allowed and what.is_managed:
            return Decision(
                verdict=Verdict.FORBIDDEN,
                reason=f"{what.name}: managed data are not put into the shared checkout bucket; "
                "ask for presigned URLs, or check out to a bucket of your own",
            )
        return decision

    def _contribute(self, who: Principal, what: Resource) -> Decision:
        signed_in = self._signed_in(who, what)
        if signed_in.is_allowed and not who.is_admin and who.groups.isdisjoint(self.write_groups):
            return _forbidden(f"{who.email} is not a member of any group that may write")
        return signed_in

    def _write(self, who: Principal, what: Resource) -> Decision:
        contribute = self._contribute(who, what)
        if not contribute.is_allowed:
            return contribute
        if who.is_admin:
            return _present(what)
        if not self._is_reader(who, what):
            return self._not_for(who, what, "write")
        if what.owner and what.owner != who.email:
            return _forbidden(f"{who.email} is not the owner")
        if what.owner_group and what.owner_group not in who.groups:
            return _forbidden(f"{what.name} belongs to group {what.owner_group}; ask a member of it")
        return _present(what)

    def _delete(self, who: Principal, what: Resource) -> Decision:
        signed_in = self._signed_in(who, what)
        if not signed_in.is_allowed:
            return signed_in
        if who.is_admin:
            return _present(what)
        if (what.owner or what.owner_group) and self._is_reader(who, what):
            return self._write(who, what)
        # Also for those who must not learn that it belongs to somebody.
        return _forbidden(f"{who.email} is not an admin")

    def _administer(self, who: Principal, what: Resource) -> Decision:
        signed_in = self._signed_in(who, what)
        if signed_in.is_allowed and not who.is_admin:
            return _forbidden(f"{who.email} is not an admin")
        return signed_in

    @staticmethod
    def _signed_in(who: Principal, what: Resource) -> Decision:
        if who.is_known:
            return _ALLOWED
        return Decision(verdict=Verdict.UNAUTHORIZED, reason=f"{what.name} needs a token: sign in")

    def _not_for(self, who: Principal, what: Resource, verb: str) -> Decision:
        """Return the refusal of somebody who is not among the readers."""
        if self.hide_managed and (what.is_managed or not what.owner):
            return Decision(verdict=Verdict.HIDDEN, reason=f"there is no {what.name}")
        ask = f"; ask {self.contact} for access" if self.contact else ""
        if not who.is_known:
            return Decision(
                verdict=Verdict.UNAUTHORIZED, reason=f"{what.name} is managed: sign in to {verb} it{ask}"
            )
        if what.owner:
            return _forbidden(f"{who.email} is not the owner")
        return _forbidden(f"{what.name} is managed, and {who.email} may not {verb} it{ask}")


def _present(what: Resource) -> Decision:
    """Return that an action is allowed, unless the thing was removed for good."""
    if what.purged:
        return Decision(verdict=Verdict.PURGED, reason=f"{what.name} was removed for good: {what.purged}")
    return _ALLOWED


def _forbidden(reason: str) -> Decision:
    return Decision(verdict=Verdict.FORBIDDEN, reason=reason)
