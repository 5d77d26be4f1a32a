"""The OpenAPI document of the catalogue's service beside this module, and its operations, compiled once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from run.api.bodies import Body
from run.api.contract import Operation, compile_operation

_DOCUMENT = Path(__file__).with_name("explore-api.yml")
# The loader in C, if PyYAML has it, saves time at the start.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_JSON = "application/json"


def load_document() -> dict[str, Any]:
    """Return the OpenAPI document of this release."""
    document: dict[str, Any] = yaml.load(_DOCUMENT.read_text(encoding="utf-8"), _Loader)
    return document


def operations_of(document: Mapping[str, Any]) -> tuple[Operation, ...]:
    """Return the operations of the document. None of them writes.

    Parameters of the query are read by `run.explore.arguments`, because they may be in the body instead.
    """
    return tuple(
        compile_operation(
            "",
            path,
            method,
            {**declared, "parameters": _of_path(declared["parameters"])},
            needs=None,
            body=_body(declared),
            writes=False,
        )
        for path, methods in document["paths"].items()
        for method, declared in methods.items()
    )


def _of_path(parameters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**each["schema"], **each} for each in parameters if each["in"] == "path"]


def _body(declared: Mapping[str, Any]) -> Body | None:
    if "requestBody" not in declared:
        return None
    schema = declared["requestBody"]["content"][_JSON]["schema"]
    return Body({"required": True, "schema": schema}, {})
