"""Stand-ins for providers that cannot be had everywhere: `terraform` checks `terraform/` by their schemas.

They serve `google-schema.json` and `time-schema.json` by Terraform's provider protocol, version 5, and
nothing else: Terraform then refuses unknown arguments and blocks, missing and wrongly typed ones, and
references to what does not exist. What a real provider checks beyond its schema (the form of a name, say)
stays unchecked.
"""

import json
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

# tfplugin5.proto, message Schema.Attribute: the numbers of its fields.
MODES = {"required": (4,), "optional": (5,), "computed": (6,), "optional and computed": (5, 6)}
# tfplugin5.proto, enum Schema.NestedBlock.NestingMode.
NESTING = {"single": 1, "list": 2}

Json = dict[str, Any]


@contextmanager
def serving(providers: Mapping[str, grpc.GenericRpcHandler]) -> Iterator[dict[str, str]]:
    """Serve providers, by HashiCorp's names of them; yield the environment that `terraform` needs."""
    servers, reattach = [], {}
    for name, provider in providers.items():
        server = grpc.server(ThreadPoolExecutor(8), handlers=[provider])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        reattach[f"registry.terraform.io/hashicorp/{name}"] = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps(reattach)}
    finally:
        for server in servers:
            server.stop(grace=None)


class Provider(grpc.GenericRpcHandler):
    """A provider that gives its schemas, encoded; `answer` says what else it knows."""

    def __init__(self, schemas: bytes) -> None:
        self._schemas = schemas

    @abstractmethod
    def answer(self, method: str) -> Callable[[bytes], bytes] | None:
        """Return what answers the requests of a method, None if the provider doesn't have it."""

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return what serves a call; see grpc."""
        service, _, method = call.method.rpartition("/")
        if service != "/tfplugin5.Provider":
            return None
        answer = (lambda _: self._schemas) if method == "GetSchema" else self.answer(method)
        return answer and grpc.unary_unary_rpc_method_handler(lambda request, _context: answer(request))


class StandIn(Provider):
    """A provider that knows its schema, and nothing else."""

    def __init__(self, schema: Json) -> None:
        super().__init__(_provider_schema(schema))

    def answer(self, method: str) -> Callable[[bytes], bytes] | None:
        """Find nothing wrong."""
        if method.startswith("Validate"):
            # Terraform has checked the schema before it asks; no diagnostics is an empty message.
            return lambda _: b""
        if method == "PrepareProviderConfig":
            # The configuration has the same field number in the request and in the answer.
            return lambda request: request
        return None


def _provider_schema(schema: Json) -> bytes:
    resources = [encoded_field(2, _entry(name, block)) for name, block in schema["resources"].items()]
    data_sources = [encoded_field(3, _entry(name, block)) for name, block in schema["data_sources"].items()]
    return encoded_field(1, _schema(schema["provider"])) + b"".join(resources + data_sources)


def _entry(name: str, block: Json) -> bytes:
    return encoded_field(1, name) + encoded_field(2, _schema(block))


def _schema(block: Json) -> bytes:
    return encoded_field(1, 0) + encoded_field(2, _block(block))


def _block(block: Json) -> bytes:
    attributes = [encoded_field(2, _attribute(name, row)) for name, row in block["attributes"].items()]
    nested = [encoded_field(3, _nested_block(name, row)) for name, row in block["blocks"].items()]
    return b"".join(attributes + nested)


def _attribute(name: str, row: Json) -> bytes:
    modes = b"".join(encoded_field(number, 1) for number in MODES[row["mode"]])
    return encoded_field(1, name) + encoded_field(2, json.dumps(row["type"])) + modes


def _nested_block(name: str, row: Json) -> bytes:
    return (
        encoded_field(1, name)
        + encoded_field(2, _block(row["block"]))
        + encoded_field(3, NESTING[row["nesting"]])
        + encoded_field(4, row["min"])
        + encoded_field(5, row["max"])
    )


def encoded_field(number: int, value: int | str | bytes) -> bytes:
    """Return one field in protobuf's wire format: a varint, or a length and bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
