"""Imports as an interface of the API: its operations and paths, and its document."""

from pathlib import Path
from typing import Any

from flask import Flask, Response

from run.api.bodies import Body
from run.api.contract import Operation, compile_operation
from run.api.interfaces import Interface
from run.api.json_text import json_text
from run.api.openapi import as_swagger, declarations, read_document
from run.imports import handlers
from shared.access import Action
from shared.system import Dss

_DOCUMENT = Path(__file__).with_name("imports-api.yml")
_OPENAPI = "/imports/openapi.json"


def load_document() -> dict[str, Any]:
    """Return the OpenAPI document of this release."""
    return read_document(_DOCUMENT)


def interface() -> Interface:
    """Return imports as an interface; who may write calls its operations."""
    document = load_document()
    return Interface(
        area="imports",
        handlers=handlers,
        operations=tuple(
            _operation(path, method, declared) for path, method, declared in declarations(document)
        ),
        paths=("/imports",),
        open_to_all=frozenset(),
        without_back_end=frozenset((_OPENAPI,)),
        form=_as_it_is,
        install=_install,
    )


def _operation(path: str, method: str, declared: dict[str, Any]) -> Operation:
    body = None
    if "requestBody" in declared:
        schema = declared["requestBody"]["content"]["application/json"]["schema"]
        body = Body({"required": True, "schema": schema}, {})
    return compile_operation(
        "",
        path,
        method,
        {**declared, "parameters": [as_swagger(one) for one in declared["parameters"]]},
        needs=Action.CONTRIBUTE,
        body=body,
        writes=method.upper() != "GET",
    )


def _as_it_is(_: str, __: Response) -> None:
    """Leave problems as those of v1."""


def _install(app: Flask, _: Dss) -> None:
    """Add the route of the document."""
    text = json_text(load_document())
    app.add_url_rule(_OPENAPI, "imports.openapi", lambda: Response(text, mimetype="application/json"))
