"""One request, as the handlers see it: the caller, the address of the API, and the dependencies."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from urllib.parse import urlencode

from run.api.audit_log import noted
from run.api.memory_budget import MemoryBudgets
from shared.access import STRANGER, Action, Decision, Principal, Resource, Verdict
from shared.bindings import bound_resource
from shared.clock import check_not_ahead
from shared.errors import DssError, Forbidden, Gone, NotFound, Unauthorized
from shared.identifiers import Fqid, Kind, check_version
from shared.system import Dss


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a handler gets beside the arguments of the contract.

    `caller` is who has signed in to a secured operation, with the groups of the token. `identify` returns who
    has signed in to any, with all groups, and raises Unauthorized or Forbidden if the header proves nothing.
    `requester` returns the e-mail of the caller, also in an open operation, or else the client's address.
    `charge` takes further units from the caller's request budget.
    `repeat_key` is the header `Idempotency-Key`, the same for a request and its repetitions; `if_match` is
    the header `If-Match`, and `user_project` the header `X-User-Project`.

    Who asks, from what costs least: `caller` is None in open operations, and may lack groups that operators
    gave; `signed_in` is the same, but raises instead. `requester` is a name for limits and records, and
    decides nothing. `identify` and `reader` have all groups; of a token that proves nothing the first raises,
    and the second makes a stranger. Handlers leave decisions to these, which join groups only if they matter:
    `require` raises the refusal of the policy; `sees` is False if something must seem not to be there, and
    raises other refusals; `finds` is False for all refusals, and `may_read` is that by readers alone.
    """

    dss: Dss
    caller: Principal | None
    identify: Callable[[], Principal]
    base_url: str
    path: str
    query: Mapping[str, str]
    memory: MemoryBudgets
    requester: Callable[[], str]
    charge: Callable[[int], None]
    repeat_key: str = ""
    if_match: str = ""
    user_project: str = ""

    @property
    def signed_in(self) -> Principal:
        """The caller of a secured operation. Raise Unauthorized in an open one."""
        if self.caller is None:
            raise Unauthorized("this operation needs a token")
        return self.caller

    @cached_property
    def reader(self) -> Principal:
        """Who reads, for lists and searches: a stranger if the token, or its absence, proves nothing.

        Raise Unavailable if that cannot be found out: a member's list must not lack what is managed.
        """
        with suppress(Unauthorized, Forbidden):
            return self.identify()
        return STRANGER

    @property
    def _proved(self) -> Principal:
        """Who reads what may seem not to be there: a stranger also if that cannot be found out.

        What isn't there costs no look at the token, so an error would tell that something is there.
        """
        with suppress(DssError):
            return self.reader
        return STRANGER

    def require(self, action: Action, what: Resource) -> None:
        """Raise Unauthorized, Forbidden, NotFound or Gone unless the caller may do something with something.

        What everybody may read costs no look at the token, and what the groups of the token allow no look at
        other ones.
        """
        if action in (Action.READ, Action.SHARE) and self.dss.policy.is_open(what):
            return
        decision = self._decided(lambda who: self.dss.policy.decide(who, action, what))
        noted().decided(action, what, decision)
        decision.require()

    def refusal(self, action: Action, what: Resource, name: Fqid) -> DssError | None:
        """Return why the caller may not do something with one of many objects; None if it is allowed.

        The audit log notes its name. Raises what `require` raises beside refusals.
        """
        try:
            self.require(action, what)
        except (Unauthorized, Forbidden, NotFound, Gone) as error:
            noted().refuse(name)
            return error
        return None

    def writes_many(self, names: Iterable[Fqid]) -> None:
        """Note for the audit log which objects this request writes; the last call counts."""
        noted().written = list(names)

    def is_about(self, uuid: str, version: str = "") -> None:
        """Note the object of this request for the audit log, where the request does not name it itself."""
        noted().uuid, noted().version = uuid, version

    def writes(self) -> None:
        """Note for the audit log that this request writes, although its operation reads."""
        noted().writes = True

    def hands_out(self, name: str) -> timedelta:
        """Note a signed URL of a file (its UUID), a journal or a manifest (its id); return its lifetime."""
        lifetime = timedelta(seconds=self.dss.settings.signed_url_seconds)
        noted().hand_out(name, self.dss.clock.now() + lifetime)
        return lifetime

    def require_source(self, url: str) -> None:
        """Raise Forbidden unless the caller may put a file from the object at a URL."""
        self._decided(lambda who: self.dss.bucket_policy.source(who, url)).require()

    def _decided(self, decide: Callable[[Principal], Decision], *, strangers: bool = False) -> Decision:
        """Return a decision about the caller; with `strangers`, a token that proves nothing is nobody's."""
        # More groups never take a right away, so those of the token come first: they cost no read.
        if self.caller and (decision := decide(self.caller)).is_allowed:
            return decision
        return decide(self._proved if strangers else self.identify())

    def sees(self, what: Resource) -> bool:
        """Return whether the caller may read something; False if it must seem not to be there.

        Raise Unauthorized, Forbidden or Gone if the caller may not, and may know. What everybody may read
        costs no look at the token.
        """
        policy = self.dss.policy
        if policy.is_open(what):
            return True
        # A token that proves nothing must not make a difference to what seems not to be there.
        decision = self._decided(
            lambda who: policy.decide(who, Action.READ, what), strangers=policy.hide_managed
        )
        noted().decided(Action.READ, what, decision)
        if decision.verdict is Verdict.HIDDEN:
            return False
        decision.require()
        return True

    def may_read(self, readers: frozenset[str]) -> bool:
        """Return whether the caller is among the readers of something."""
        return self.finds(Resource(name="", readers=readers))

    def finds(self, what: Resource) -> bool:
        """Return whether the caller may read something that otherwise seems not to be there."""
        policy = self.dss.policy
        if policy.is_open(what):
            return True
        return self._decided(lambda who: policy.decide(who, Action.READ, what), strangers=True).is_allowed

    def resource(
        self, kind: Kind, uuid: str, version: str | None = None, *, absent: bool = False
    ) -> Resource:
        """Return a UUID, or a version, with its binding, which is read; for writes, and if it is `absent`."""
        current = self.dss.catalog.bindings.current(uuid)
        return bound_resource(kind, uuid, current, version, absent=absent)

    def check_new_version(self, version: str) -> None:
        """Raise IllegalVersion if a version to write is more than DSS_VERSION_AHEAD_SECONDS ahead."""
        check_not_ahead(self.dss.clock, version, self.dss.settings.version_ahead_seconds)

    def replaced(self, uuid: str) -> Fqid | None:
        """Return the version that `If-Match` names, with or without quotes; None without it, or for `*`.

        Raise IllegalVersion if it is none.
        """
        text = self.if_match.strip()
        if text in ("", "*"):
            return None
        return Fqid(uuid, check_version(text.removeprefix('"').removesuffix('"'), "If-Match"))

    def url(self, **changes: str | int) -> str:
        """Return the absolute URL of this request, with these query parameters added or replaced.

        They come first: old clients append their original query to a link, and the first of two parameters
        with one name counts.
        """
        unchanged = {name: value for name, value in self.query.items() if name not in changes}
        return f"{self.base_url}{self.path}?{urlencode({**changes, **unchanged})}"
