"""The OpenAPI document of DRS beside this module, and its operations, compiled once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from run.api.bodies import Body
from run.api.contract import Operation, compile_operation
from run.api.openapi import as_swagger, declarations, read_document
from shared.errors import UnsupportedMediaType

# Where `drs://HOST/` leads.
DRS_PATH = "/ga4gh/drs/v1"
_DOCUMENT = Path(__file__).with_name("drs-api.yml")
_JSON = "application/json"


def load_document() -> dict[str, Any]:
    """Return the OpenAPI document of this release."""
    return read_document(_DOCUMENT)


def operations_of(document: Mapping[str, Any]) -> tuple[Operation, ...]:
    """Return the operations of the document. None of them writes."""
    schemas = document["components"]["schemas"]
    return tuple(
        compile_operation(
            DRS_PATH,
            path,
            method,
            {**declared, "parameters": [as_swagger(one) for one in declared["parameters"]]},
            needs=None,
            body=JsonBody.of(declared["requestBody"], schemas) if "requestBody" in declared else None,
            writes=False,
        )
        for path, method, declared in declarations(document)
    )


class JsonBody(Body):
    """A request body that has to say that it is JSON, if it says what it is."""

    @classmethod
    def of(cls, declared: Mapping[str, Any], schemas: Mapping[str, Any]) -> "JsonBody":
        """Compile the body of an OpenAPI operation."""
        schema = declared["content"][_JSON]["schema"]
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return cls({"required": declared["required"], "schema": schemas[name]}, {})

    def read(self, body: bytes | None, content_type: str | None) -> dict[str, Any]:
        """Read as every body. Raise UnsupportedMediaType for one of another type."""
        kind = (content_type or _JSON).partition(";")[0].strip().lower()
        if body and kind != _JSON and not kind.endswith("+json"):
            raise UnsupportedMediaType(f"Content-Type: {kind[:80]!r} is not application/json; send JSON")
        return super().read(body, content_type)
