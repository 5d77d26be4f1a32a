"""The application: one route for each path of the contract, one handler for each operation."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any, cast

from flask import Flask, Response, request

from run.api import (
    bundles,
    checkout,
    collections,
    events,
    files,
    search,
    service,
    signed_objects,
    subscriptions,
)
from run.api.admission import ADMISSION, Admission
from run.api.audit_log import install_audit_log, noted
from run.api.auth import Authenticator
from run.api.bodies import memory_of
from run.api.call import Call
from run.api.clients import base_url, client_address
from run.api.contract import Contract, Operation
from run.api.errors import install_error_handlers
from run.api.interfaces import INTERFACES_KEY, Interfaces
from run.api.limits import LIMITS, Limits
from run.api.memory_budget import MemoryBudgets
from run.api.request_log import install_request_log
from run.api.security_headers import install_headers
from run.api.wsgi import Application, Environ
from shared.access import STRANGER, Principal, Resource
from shared.api_path import API_PATH
from shared.config import Settings
from shared.errors import DssError, Forbidden, NotYetImplemented, RequestTooLarge, Unauthorized
from shared.groups import Memberships
from shared.system import Dss

# The first word of an operation's id, and the module with its handler. Operations of other areas answer 501.
AREAS: dict[str, ModuleType] = {
    "bundles": bundles,
    "checkout": checkout,
    "collections": collections,
    "events": events,
    "files": files,
    "search": search,
    "subscriptions": subscriptions,
}

Handler = Callable[..., Response]


def create_app(dss: Dss) -> Flask:
    """Return the application that serves the contract, with `dss` as its dependencies."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    interfaces = app.extensions[INTERFACES_KEY] = Interfaces.load(dss.settings.secured)
    contract = Contract.load(
        replicas=dss.replicas.names,
        secured=dss.settings.secured,
        others=frozenset(operation.operation_id for operation in interfaces.operations),
    )
    limits = app.extensions[LIMITS] = Limits(dss.settings)
    areas = {**AREAS, **{interface.area: interface.handlers for interface in interfaces}}
    dispatcher = _Dispatcher(dss, limits, areas)
    by_rule: dict[str, list[Operation]] = {}
    for operation in (*contract.operations, _bundles_of_old(contract), *interfaces.operations):
        by_rule.setdefault(operation.rule, []).append(operation)
    for rule, operations in by_rule.items():
        app.add_url_rule(
            rule,
            endpoint=rule,
            view_func=dispatcher.view(operations),
            methods=[operation.method.upper() for operation in operations],
            provide_automatic_options=False,
        )
    service.install(app, dss, contract, front=interfaces.front)
    signed_objects.install(app, dss.replicas)
    for interface in interfaces:
        interface.install(app, dss)
    install_error_handlers(app, debug=dss.settings.debug > 0)
    app.after_request(lambda response: interfaces.form(request.path, response))
    install_audit_log(app, dss)
    install_request_log(app, dss.tracer)
    install_headers(app, interfaces.has_operations, dss.settings.public_url)
    app.wsgi_app = partial(_prepared, interfaces, dss.settings, app.wsgi_app)  # type: ignore[method-assign] # Flask says so
    return app


def _bundles_of_old(contract: Contract) -> Operation:
    """Return the list of all bundles at the path at which the predecessor had it, too."""
    [listed] = [
        operation for operation in contract.operations if operation.operation_id == "bundles.list_all"
    ]
    return listed.served_also_at(f"{API_PATH}/bundles", replica="gcp")


def _prepared(
    interfaces: Interfaces,
    settings: Settings,
    application: Application,
    environ: Environ,
    start_response: Any,
) -> Iterable[bytes]:
    """Serve `.../files/UUID/` as `.../files/UUID`, and who brings a token in a cookie as if in the header."""
    # The gateway has done it already, if there is one.
    interfaces.authorize(environ, settings)
    if interfaces.has_operations(environ["PATH_INFO"]):
        environ["PATH_INFO"] = environ["PATH_INFO"].rstrip("/")
    return application(environ, start_response)


class _Dispatcher:
    """Makes the views: each signs the caller in, refuses writes if read-only, then reads the arguments."""

    def __init__(self, dss: Dss, limits: Limits, areas: Mapping[str, ModuleType]) -> None:
        self._dss = dss
        self._limits = limits
        self._areas = areas
        self._memory = MemoryBudgets.of(dss.settings.api_memory_bytes)
        self._authenticator = Authenticator(dss.settings)
        self._memberships = Memberships(dss)

    def view(self, operations: list[Operation]) -> Callable[..., Response]:
        """Return the view of a path; it chooses the operation by the request's method."""
        by_method = {operation.method: (operation, self._handler(operation)) for operation in operations}

        def answer(**path_arguments: str) -> Response:
            # Werkzeug lets HEAD through to every path that has a GET.
            operation, handler = by_method.get(request.method) or by_method["GET"]
            return self._answer(operation, handler, path_arguments)

        return answer

    def _handler(self, operation: Operation) -> Handler:
        area, _, name = operation.operation_id.partition(".")
        handler: Any = getattr(self._areas.get(area), name, None)
        if handler is None:
            return _not_implemented
        return cast(Handler, handler)

    def _answer(self, operation: Operation, handler: Handler, path_arguments: dict[str, str]) -> Response:
        noted().begin(operation, path_arguments, writes=operation.writes)
        admission: Admission = request.environ.get(ADMISSION) or Admission(body_received=True)
        if not admission.waits_for_body:
            admission.caller = self._admit(operation)
            if operation.takes_body and not admission.body_received:
                admission.waits_for_body = True
                return Response(status=100)
        # For the log alone nobody reads memberships, and a bad token is not counted.
        noted().who, noted().identify = admission.caller, self._verified
        call = Call(
            dss=self._dss,
            caller=admission.caller,
            identify=partial(self._identify, admission.caller),
            base_url=base_url(self._dss.settings),
            path=request.path,
            query={
                name: text
                for name, text in request.args.items()
                if operation.reads_query or name in operation.query_names
            },
            memory=self._memory,
            requester=partial(self._requester, admission.caller),
            charge=partial(self._limits.charge, request.environ),
            repeat_key=request.headers.get("Idempotency-Key", ""),
            if_match=request.headers.get("If-Match", ""),
            user_project=request.headers.get("X-User-Project", ""),
        )
        body = self._body() if operation.takes_body else None
        with self._memory.bodies.reserve(memory_of(body or b"")):
            return handler(
                call, **operation.arguments(path_arguments, request.args, body, request.content_type)
            )

    def _admit(self, operation: Operation) -> Principal | None:
        """Return the caller of a secured operation.

        Raise TooManyRequests, Unauthorized, Forbidden or ReadOnly.
        """
        # First, so that a flood of tokens is not verified.
        self._limits.check(request.environ)
        caller = self._sign_in() if operation.needs else None
        self._limits.spend(request.environ, operation.operation_id)
        if caller and operation.needs:
            what = Resource(name=f"operation {operation.operation_id}")
            # More groups never take a right away, so those of the token come first: they cost no read.
            if not self._dss.policy.decide(caller, operation.needs, what).is_allowed:
                caller = self._memberships.join(caller)
                self._dss.policy.decide(caller, operation.needs, what).require()
        if operation.writes:
            self._dss.switches.check_writes()
        return caller

    def _sign_in(self) -> Principal:
        """Return whom the request's token proves. Raise as the authenticator; then it counts as a bad one."""
        try:
            noted().who = caller = self._verified()
        except (Unauthorized, Forbidden):
            self._limits.count_failed_sign_in(request.environ)
            raise
        self._limits.remember_token(request.environ, caller)
        return caller

    def _verified(self) -> Principal:
        """Return whom the request's token proves. Raise as the authenticator."""
        header = request.headers.get("Authorization")
        return self._authenticator.caller(header, client_address(self._dss.settings))

    def _identify(self, caller: Principal | None) -> Principal:
        """Return who has signed in, with all groups. Raise as the authenticator, or Unavailable."""
        return self._memberships.join(self._proved(caller))

    def _proved(self, caller: Principal | None) -> Principal:
        """Return who has signed in. Raise as the authenticator if the header proves nothing."""
        if caller is None and request.headers.get("Authorization"):
            caller = self._sign_in()
        return caller or STRANGER

    def _requester(self, caller: Principal | None) -> str:
        # An open operation ignores tokens that are not valid.
        with suppress(DssError):
            caller = self._proved(caller)
        return caller.email if caller and caller.is_known else client_address(self._dss.settings)

    def _body(self) -> bytes | None:
        limit = self._dss.settings.max_body_bytes
        body = request.stream.read(limit + 1)
        if len(body) > limit:
            raise RequestTooLarge(f"json_request_body: larger than {limit} bytes, the limit of this API")
        return body or None


def _not_implemented(call: Call, **_: Any) -> Response:
    raise NotYetImplemented(f"{call.path}: this operation is not implemented yet")
