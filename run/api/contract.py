"""Compiles the contract once, so that reading the arguments of a request is cheap.

`Contract.load()` reads dss-api.yml beside this module. Each operation has its method and path, and turns the
parts of a request into the keyword arguments of its handler.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from run.api.bodies import BODY, Body
from run.api.openapi import declarations, read_document
from run.api.parameters import Parameter, compile_parameter
from shared.access import Action

_DOCUMENT = Path(__file__).with_name("dss-api.yml")
# The name in DSS_SECURED that stands for every operation.
ALL = "all"
# Operations with sign-in that need no group that may write: those may not write who read it by its binding.
_FOR_READERS = frozenset(("collections.get",))
# A search reads; it is a POST because its query is too long for a URL.
_READS = frozenset(("search.post",))


class RequestBody(Protocol):
    """The form of the bodies of an operation."""

    def read(self, body: bytes | None, content_type: str | None) -> Mapping[str, Any]:
        """Return what a body says. Raise IllegalArguments, or below, if it is not of this form."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path; `operation_id` is the module and function of its handler, as `files.get`.

    `needs` is what its caller has to be allowed: Action.CONTRIBUTE if the contract asks for sign-in,
    Action.CALL if only the deployment does, or if readers need it too, None if anybody may call it. `writes`
    is False if it only reads.
    """

    operation_id: str
    method: str
    path: str
    rule: str
    needs: Action | None
    paginated: bool
    _path_parameters: tuple[Parameter, ...] = field(repr=False)
    _query_parameters: tuple[Parameter, ...] = field(repr=False)
    query_names: frozenset[str] = field(repr=False)
    _body: RequestBody | None = field(repr=False)
    writes: bool
    # Whether the handler reads the query itself, parameters that are not declared included.
    reads_query: bool = False

    def served_also_at(self, rule: str, **defaults: str) -> "Operation":
        """Return this operation at another path, with defaults for some query parameters."""
        parameters = (
            replace(parameter, required=False, default=defaults[parameter.name])
            if parameter.name in defaults
            else parameter
            for parameter in self._query_parameters
        )
        return replace(self, rule=rule, _query_parameters=tuple(parameters))

    @property
    def secured(self) -> bool:
        """Whether the operation needs sign-in."""
        return self.needs is not None

    @property
    def takes_body(self) -> bool:
        """Whether the operation has a request body."""
        return self._body is not None

    def arguments(
        self,
        path_args: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        """Return the keyword arguments of the handler: all parameters, and the body as `json_request_body`.

        A missing parameter has its default, or is None. Query parameters that the contract does not declare
        are ignored: clients of other servers send some. UUIDs are in lower case. If a query parameter is
        repeated, the first counts (`query` is a werkzeug MultiDict, or behaves like one): clients that follow
        a `Link` and append their own query rely on it. The body is read only if the operation has one.

        Raise IllegalArguments, which names the parameter, for anything that the contract does not allow;
        IllegalVersion for versions; UnknownSourceSchema for the scheme of a source URL.
        """
        arguments = {
            parameter.name: parameter.read(path_args[parameter.name]) for parameter in self._path_parameters
        }
        for parameter in self._query_parameters:
            text = query.get(parameter.name)
            if text is not None:
                arguments[parameter.name] = parameter.read(text)
            elif parameter.required:
                raise parameter.missing()
            else:
                arguments[parameter.name] = parameter.default
        if self._body:
            arguments[BODY] = self._body.read(body, content_type)
        return arguments


@dataclass(frozen=True)
class Contract:
    """The v1 contract: the document that clients fetch, and its compiled operations."""

    document: dict[str, Any]
    operations: tuple[Operation, ...]

    @classmethod
    def load(
        cls,
        *,
        replicas: Iterable[str] = (),
        secured: Collection[str] = (),
        others: Collection[str] = (),
    ) -> "Contract":
        """Return the contract of this release; `replicas` are allowed beside those in the document.

        `secured` are operations that need sign-in in this deployment, or `all`; the document says so. Raise
        ValueError, which names them, if there are no such operations here nor among `others`, which are those
        of other interfaces.
        """
        document = read_document(_DOCUMENT)
        _add_replicas(document, replicas)
        by_setting = _secure(document, secured, others)
        operations = tuple(
            _operation(document, path, method, declared, _need(declared, by_setting))
            for path, method, declared in declarations(document)
        )
        return cls(document, operations)

    def served_at(
        self, scheme: str, host: str, *, sign_in: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the document for clients of this server; `host` includes the port.

        `sign_in` may hold `x-audience`, `x-email-claim` and `x-group-claim`. The dbio client reads them from
        a security definition called OauthSecurity, and signs the tokens of service accounts accordingly.
        """
        served = {**self.document, "host": host, "schemes": [scheme]}
        if sign_in:
            definitions = self.document["securityDefinitions"]
            served["securityDefinitions"] = {
                **definitions,
                "OauthSecurity": {**definitions["dcpAuth"], **sign_in},
            }
        return served


def _add_replicas(document: dict[str, Any], names: Iterable[str]) -> None:
    """Add `names` to every enumeration of replicas in the document."""
    declared = [
        parameter
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation["parameters"]
        if parameter["name"] == "replica"
    ]
    for property_ in (*declared, document["definitions"]["Subscription"]["properties"]["replica"]):
        property_["enum"] = list(dict.fromkeys([*property_["enum"], *names]))


def _secure(document: dict[str, Any], names: Collection[str], others: Collection[str] = ()) -> frozenset[str]:
    """Add sign-in to the operations with these ids, and return the ids of those that lacked it."""
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    unknown = sorted(set(names) - operations.keys() - {ALL, *others})
    if unknown:
        known = ", ".join((ALL, *operations, *sorted(others)))
        raise ValueError(f"DSS_SECURED: {', '.join(unknown)}: no such operation; there are {known}")
    # Who has a signed URL needs no token, as with those of the clouds.
    signed = {name for name, operation in operations.items() if operation.get("x-signed")}
    chosen = operations.keys() - signed if ALL in names else set(names) & operations.keys()
    added = frozenset(name for name in chosen if not operations[name].get("security"))
    refusal = {"description": "You are not signed in.", "schema": {"$ref": "#/definitions/Error"}}
    for operation in map(operations.__getitem__, added):
        operation["security"] = [{"dcpAuth": []}]
        operation["responses"] = {"401": refusal, **operation["responses"]}
    return added


def _need(declared: Mapping[str, Any], by_setting: Collection[str]) -> Action | None:
    """Return what the caller of an operation has to be allowed."""
    if declared["operationId"] in by_setting or declared["operationId"] in _FOR_READERS:
        return Action.CALL
    return Action.CONTRIBUTE if declared.get("security") else None


def _operation(
    document: dict[str, Any], path: str, method: str, declared: dict[str, Any], needs: Action | None
) -> Operation:
    bodies = [parameter for parameter in declared["parameters"] if parameter["in"] == "body"]
    return compile_operation(
        document["basePath"],
        path,
        method,
        declared,
        needs=needs,
        body=Body(bodies[0], document["definitions"]) if bodies else None,
        writes=method.upper() not in ("GET", "HEAD") and declared["operationId"] not in _READS,
    )


def compile_operation(
    base_path: str,
    path: str,
    method: str,
    declared: Mapping[str, Any],
    *,
    needs: Action | None,
    body: RequestBody | None,
    writes: bool,
) -> Operation:
    """Compile an operation of a document; its parameters are declared as Swagger does."""
    by_place: dict[str, list[dict[str, Any]]] = {"path": [], "query": [], "body": []}
    for parameter in declared["parameters"]:
        by_place[parameter["in"]].append(parameter)
    return Operation(
        operation_id=declared["operationId"],
        method=method.upper(),
        path=path,
        rule=base_path + path.replace("{", "<").replace("}", ">"),
        needs=needs,
        paginated="206" in declared["responses"],
        _path_parameters=tuple(map(compile_parameter, by_place["path"])),
        _query_parameters=tuple(map(compile_parameter, by_place["query"])),
        query_names=frozenset(parameter["name"] for parameter in by_place["query"]),
        _body=body,
        writes=writes,
    )
