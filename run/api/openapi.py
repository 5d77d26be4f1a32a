"""The documents of interfaces, each beside its module, and what they declare."""

import pickle
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# The loader in C, if PyYAML has it, saves half a second at the start.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(file: Path) -> dict[str, Any]:
    """Return a copy of an OpenAPI or Swagger document, so that it may be changed."""
    document: dict[str, Any] = pickle.loads(_parsed(file))
    return document


@cache
def _parsed(file: Path) -> bytes:
    """Return a document as Python reads it a hundred times faster than YAML."""
    return pickle.dumps(yaml.load(file.read_text(encoding="utf-8"), _Loader))


def declarations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the declaration of each operation."""
    for path, methods in document["paths"].items():
        for method, declared in methods.items():
            yield path, method, declared


def as_swagger(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter of OpenAPI 3 as Swagger 2 declares it: without a schema of its own."""
    return {**parameter["schema"], **parameter}
