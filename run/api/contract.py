"""Compiles the contract once, so that reading the arguments of a request costs next to nothing.

`Contract.load()` reads dss-api.yml beside this module. Each of its operations tells where it is served, and
turns the parts of a request into the keyword arguments of its handler.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from run.api.bodies import BODY, Body
from run.api.parameters import Parameter, compile_parameter, unknown_parameter

_DOCUMENT = Path(__file__).with_name("dss-api.yml")
# The loader in C, where PyYAML was built with it, starts the service half a second sooner.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path; `operation_id` is the module and function that serve it, as `files.get`."""

    operation_id: str
    method: str
    path: str
    rule: str
    secured: bool
    paginated: bool
    _path_parameters: tuple[Parameter, ...] = field(repr=False)
    _query_parameters: tuple[Parameter, ...] = field(repr=False)
    _query_names: frozenset[str] = field(repr=False)
    _body: Body | None = field(repr=False)

    def arguments(
        self,
        path_args: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        """Return what the handler takes: every parameter by its name, and the body as `json_request_body`.

        What was not given has its default, or is None. UUIDs are in lower case. Of a query parameter that
        was given twice the first counts (`query` is a werkzeug MultiDict, or behaves like one): that is what
        clients rely on which follow a `Link` and append their own query. The body is read only where the
        operation has one.

        Raises IllegalArguments for anything else than the contract has, naming the parameter;
        IllegalVersion for versions; UnknownSourceSchema for source URLs of no known scheme.
        """
        if not self._query_names.issuperset(query):
            raise unknown_parameter(set(query) - self._query_names, self._query_names)
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
    """The v1 contract: the document as clients get it, and its operations as the service runs them."""

    document: dict[str, Any]
    operations: tuple[Operation, ...]

    @classmethod
    def load(cls, *, replicas: Iterable[str] = ()) -> "Contract":
        """Return the contract of this release, in which these replicas can be named beside its own."""
        document = yaml.load(_DOCUMENT.read_text(encoding="utf-8"), _Loader)
        _add_replicas(document, replicas)
        operations = tuple(
            _operation(document, path, method, declared)
            for path, methods in document["paths"].items()
            for method, declared in methods.items()
        )
        return cls(document, operations)

    def served_at(
        self, scheme: str, host: str, *, sign_in: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the document for clients of this server, which `host` (with its port) names.

        `sign_in` may hold `x-audience`, `x-email-claim` and `x-group-claim`. The dbio client looks for them
        in a security definition called OauthSecurity, and signs the tokens of service accounts accordingly.
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
    """Let `names` be said wherever the document has the name of a replica."""
    declared = [
        parameter
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation["parameters"]
        if parameter["name"] == "replica"
    ]
    for named in (*declared, document["definitions"]["Subscription"]["properties"]["replica"]):
        named["enum"] = list(dict.fromkeys([*named["enum"], *names]))


def _operation(document: dict[str, Any], path: str, method: str, declared: dict[str, Any]) -> Operation:
    by_place: dict[str, list[dict[str, Any]]] = {"path": [], "query": [], "body": []}
    for parameter in declared["parameters"]:
        by_place[parameter["in"]].append(parameter)
    return Operation(
        operation_id=declared["operationId"],
        method=method.upper(),
        path=path,
        rule=document["basePath"] + path.replace("{", "<").replace("}", ">"),
        secured=bool(declared.get("security")),
        paginated="206" in declared["responses"],
        _path_parameters=tuple(map(compile_parameter, by_place["path"])),
        _query_parameters=tuple(map(compile_parameter, by_place["query"])),
        _query_names=frozenset(parameter["name"] for parameter in by_place["query"]),
        _body=Body(by_place["body"][0], document["definitions"]) if by_place["body"] else None,
    )
