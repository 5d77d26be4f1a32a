"""The audit log of the API: what a request does is noted while it runs, and written as a line at its end.

A line is due for a write, a refusal, a signed URL that is handed out, and a read of managed data. Handlers
say what they do by the methods of `Call`; this module knows the rest.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from flask import Flask, Response, g, request

from run.api.clients import exact_address
from run.api.contract import Operation
from run.api.request_log import trace_id
from run.api.wsgi import Environ
from shared.access import STRANGER, Action, Decision, Principal, Resource, Verdict
from shared.access.audit_log import ALLOWED, AuditEntry, utc_text
from shared.errors import DssError, IllegalArguments, TooManyLookups, Unavailable
from shared.identifiers import Fqid, check_uuid, check_version
from shared.system import Dss
from shared.tracing import trace_of

# The key of an application's audit log in its `extensions`.
AUDIT_LOG = "dss.audit_log"
# The operation of a line about requests that were refused before it was known.
NOT_ROUTED = "any"
# By status: these are refusals for any reason. A 404 is one only if the object is there, and hidden.
_REFUSALS: Mapping[int, str] = {
    401: Verdict.UNAUTHORIZED,
    403: Verdict.FORBIDDEN,
    410: Verdict.PURGED,
    429: "limited",
}
# What an operation is about, by its id or the first word of that.
_KINDS: Mapping[str, str] = {
    "account.change_subscription": "subscription",
    "account.check_out": "bundle",
    "account.choose_bucket": "bundle",
    "account.collect": "collection",
    "account.get_subscription": "subscription",
    "account.make_manifest": "manifest",
    "account.subscribe": "subscription",
    "account.watch_checkout": "checkout",
    "account.watch_manifest": "manifest",
    "browse.compare": "bundle",
    "browse.get_bundle": "bundle",
    "browse.get_collection": "collection",
    "browse.get_content": "file",
    "browse.get_file": "file",
    "browse.get_image": "file",
    "browse.get_run": "run",
    "bundles": "bundle",
    "checkout": "bundle",
    "checkout.get": "checkout",
    "collections": "collection",
    "drs": "object",
    "events": "bundle",
    "explore.fetch_file": "file",
    "explore.fetch_manifest": "manifest",
    "explore.fetch_new_manifest": "manifest",
    "explore.get_data_object": "file",
    # Of other entities nothing is noted.
    "explore.get_entity": "bundle",
    "explore.get_file": "file",
    "explore.get_manifest": "manifest",
    "explore.put_manifest": "manifest",
    "events.list_journals": "journal",
    "events.read_journal": "journal",
    "files": "file",
    "imports": "import",
    "subscriptions": "subscription",
}
# Seconds for which nobody asks who has signed in for the sake of the log, after an issuer has not answered.
_REST_SECONDS = 60
# Client errors: nothing was written. Other errors may have come in the midst of a write.
_CLIENT_ERRORS = range(400, 500)
_NOT_IMPLEMENTED = 501
# Objects that a line names. Cloud Logging: a line is at most 256 KB; these are some 70 KB.
_NAMES_A_LINE = 1_000


@dataclass
class Noted:
    """What one request has done so far."""

    operation: str = ""
    writes: bool = False
    kind: str = ""
    uuid: str = ""
    version: str = ""
    who: Principal | None = None
    identify: Callable[[], Principal] = field(default=lambda: STRANGER)
    refusal: Verdict | None = None
    reads_managed: bool = False
    handed_out: list[str] = field(default_factory=list)
    expires: datetime | None = None
    # The objects of a request about many: those it writes, the managed ones that it reads, and those that are
    # refused to the caller.
    written: list[Fqid] = field(default_factory=list)
    read: list[Fqid] = field(default_factory=list)
    refused: dict[Verdict, list[Fqid]] = field(default_factory=dict)

    def begin(self, operation: Operation, path: Mapping[str, str], *, writes: bool) -> None:
        """Note the operation and its object, as far as the request names one."""
        self.operation, self.writes = operation.operation_id, writes
        self.kind = _KINDS.get(self.operation) or _KINDS.get(self.operation.partition(".")[0], "")
        # Not checked yet, and a request that is refused never will be.
        named = [*path.values(), request.args.get("uuid", "")]
        # Ids of DRS are FQIDs.
        self.uuid, dot, version = next(filter(None, map(_uuid_of, named)), ("", "", ""))
        self.version = _version(version if dot else request.args.get("version", ""))

    def decided(self, action: Action, what: Resource, decision: Decision) -> None:
        """Note a decision about an object."""
        if not decision.is_allowed:
            self.refusal = decision.verdict
        elif action is Action.READ and what.is_managed:
            self.reads_managed = True

    def refuse(self, name: Fqid, verdict: Verdict | None = None) -> None:
        """Note which of many objects a refusal was about: the last decision, or one like it before that."""
        if verdict := verdict or self.refusal:
            self.refused.setdefault(verdict, []).append(name)

    def read_managed(self, name: Fqid) -> None:
        """Note that the answer says something of one of many objects, which is managed."""
        self.reads_managed = True
        self.read.append(name)

    def hand_out(self, name: str, expires: datetime) -> None:
        """Note a signed URL of a file, by its UUID, or of a journal or manifest, by its id."""
        self.handed_out.append(name)
        self.expires = max(self.expires or expires, expires)

    def lines(self, status: int) -> Iterator[tuple[str, list[Fqid]]]:
        """Yield the decision of each line that is due for an answer, and the objects of which it tells.

        Of a request about many objects there is one about those written or read, and one for each kind of
        refusal; more if one line would be too long.
        """
        if decision := self.decision(status):
            names = [*self.written, *self.read] if decision == ALLOWED else []
            yield decision, names[:_NAMES_A_LINE]
            yield from _parts(decision, names[_NAMES_A_LINE:])
        for verdict, names in self.refused.items():
            yield from _parts(str(verdict), names)

    def decision(self, status: int) -> str | None:
        """Return what the line says if one is due for an answer of this status, else None."""
        if status in _REFUSALS:
            return str(_REFUSALS[status])
        if status == 404 and self.refusal is Verdict.HIDDEN:
            return str(self.refusal)
        is_error = status in _CLIENT_ERRORS or status == _NOT_IMPLEMENTED
        # Where all of many objects are refused, nothing is written.
        is_written = self.writes and (self.written or not self.refused)
        is_due = is_written or self.handed_out or self.reads_managed
        return ALLOWED if is_due and not is_error else None


def _parts(decision: str, names: Sequence[Fqid]) -> Iterator[tuple[str, list[Fqid]]]:
    for start in range(0, len(names), _NAMES_A_LINE):
        yield decision, list(names[start : start + _NAMES_A_LINE])


def noted() -> Noted:
    """Return what the current request has done so far."""
    found: Noted = g.noted
    return found


class RequestAudit:
    """Writes the lines of requests."""

    def __init__(self, dss: Dss) -> None:
        self._dss = dss
        self._callers = _Callers()

    def ended(self, seen: Noted, status: int) -> None:
        """Write the lines of the current request that are due."""
        for decision, names in seen.lines(status):
            self._dss.audit_log.write(partial(self._entry, seen, decision, names, status))

    def limited(self, environ: Environ, who: Principal | None, requests: int) -> None:
        """Write one line about requests of a caller that were refused for their number, and not routed."""
        self._dss.audit_log.write(lambda: self._limited(environ, who or STRANGER, requests))

    def _limited(self, environ: Environ, who: Principal, requests: int) -> AuditEntry:
        return AuditEntry(
            time=utc_text(self._dss.clock.now()),
            operation=NOT_ROUTED,
            decision=_REFUSALS[429],
            identity=who.email,
            issuer=who.issuer,
            address=exact_address(self._dss.settings, environ),
            status=429,
            requests=requests,
            trace_id=trace_of(environ),
        )

    def _entry(self, seen: Noted, decision: str, names: Sequence[Fqid], status: int) -> AuditEntry:
        who = seen.who or self._callers.ask(seen.identify)
        address = exact_address(self._dss.settings, request.environ)
        entry = _entry(seen, who, decision, status, self._dss.clock.now(), address)
        uuids, versions = (name.uuid for name in names), (name.version for name in names)
        return replace(entry, uuids=tuple(uuids), versions=tuple(versions))


def install_audit_log(app: Flask, dss: Dss) -> None:
    """Write the line of each request that needs one. Install it after the request log, which gives ids."""
    audit = app.extensions[AUDIT_LOG] = RequestAudit(dss)

    def begin() -> None:
        g.noted = Noted(operation=request.endpoint or "")

    def end(response: Response) -> Response:
        seen = noted()
        # 100: the server receives the body, then the request begins again; see run/api/admission.py.
        if response.status_code != 100:
            audit.ended(seen, response.status_code)
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)


def _entry(
    seen: Noted, who: Principal, decision: str, status: int, now: datetime, address: str
) -> AuditEntry:
    # A refused request has handed out nothing.
    handed_out = tuple(seen.handed_out) if decision == ALLOWED else ()
    return AuditEntry(
        time=utc_text(now),
        operation=seen.operation,
        decision=decision,
        identity=who.email,
        issuer=who.issuer,
        address=address,
        kind=seen.kind,
        uuid=seen.uuid,
        version=seen.version,
        status=status,
        urls=len(handed_out),
        expires=utc_text(seen.expires) if handed_out and seen.expires else "",
        handed_out=tuple(dict.fromkeys(handed_out)),
        request_id=g.request_id,
        trace_id=trace_id(),
    )


class _Callers:
    """Finds out who calls an open operation; a token that proves nothing leaves a stranger.

    That may take a request to the token's issuer. While one does not answer, nobody is held up for the log.
    """

    def __init__(self) -> None:
        self._rests_until = float("-inf")

    def ask(self, identify: Callable[[], Principal]) -> Principal:
        """Return who calls. It raises nothing."""
        if "Authorization" not in request.headers or time.monotonic() < self._rests_until:
            return STRANGER
        try:
            return identify()
        except TooManyLookups:
            # It is one client that sends forged tokens, and no issuer that does not answer.
            return STRANGER
        except Unavailable:
            self._rests_until = time.monotonic() + _REST_SECONDS
        except DssError:
            pass
        return STRANGER


def _uuid_of(text: str) -> tuple[str, str, str] | None:
    """Return the UUID that a text is or begins with, a dot if there is one, and what follows."""
    uuid, dot, rest = text.partition(".")
    try:
        return check_uuid(uuid), dot, rest
    except IllegalArguments:
        return None


def _version(text: str) -> str:
    try:
        return check_version(text)
    except IllegalArguments:
        return ""
