"""The OpenAPI document of the catalogue's service beside this module, and its operations, compiled once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from run.api.bodies import Body
from run.api.contract import Operation, compile_operation
from run.api.openapi import as_swagger, declarations, read_document

_DOCUMENT = Path(__file__).with_name("explore-api.yml")
_JSON = "application/json"


def load_document() -> dict[str, Any]:
    """Return the OpenAPI document of this release."""
    return read_document(_DOCUMENT)


def operations_of(document: Mapping[str, Any]) -> tuple[Operation, ...]:
    """Return the operations of the document. None of them writes, but that manifests are made.

    Parameters of the query are read by `run.explore.arguments`: they may be in the body instead, and unknown
    ones are errors.
    """
    return tuple(_operation(path, method, declared) for path, method, declared in declarations(document))


def _operation(path: str, method: str, declared: Mapping[str, Any]) -> Operation:
    in_path = [as_swagger(each) for each in declared["parameters"] if each["in"] == "path"]
    compiled = compile_operation(
        "",
        path,
        method,
        {**declared, "parameters": in_path},
        needs=None,
        body=_body(declared),
        writes=False,
    )
    return replace(compiled, reads_query=True)


def _body(declared: Mapping[str, Any]) -> Body | None:
    if "requestBody" not in declared:
        return None
    schema = declared["requestBody"]["content"][_JSON]["schema"]
    return Body({"required": declared["requestBody"].get("required", False), "schema": schema}, {})
