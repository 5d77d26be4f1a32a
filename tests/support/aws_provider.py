"""The real aws provider, started once for all runs of `terraform`, which see only the schemas that they need.

Each run of `terraform` starts the provider several times, and reads the schemas of all its 1,500 kinds of
resources: most of what such a run costs. Here one process of the provider serves all runs (its mode for
debuggers: https://developer.hashicorp.com/terraform/plugin/debugging), and what it is asked and answers goes
through unchanged, but for the schemas, of which those of other kinds are left out. So Terraform still checks
each resource with the real provider's schema and with its own validation.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Set
from contextlib import closing, contextmanager
from pathlib import Path

import grpc

from local.supervisor.processes import Processes
from tests.support.google_provider import Provider, encoded_field
from tests.support.waiting import SLOWNESS, wait_until

# tfplugin5.proto, message GetProviderSchema.Response: maps by name, of managed resources, data sources, and
# ephemeral resources.
SCHEMAS_BY_NAME = (2, 3, 8)
# Seconds; an answer takes milliseconds, but the first one is of all schemas.
PATIENCE = SLOWNESS * 60
_SERVICE = "/tfplugin5.Provider"


@contextmanager
def aws_provider(program: Path, used: Set[str], directory: Path) -> Iterator[grpc.GenericRpcHandler]:
    """Run the provider, with its log in `directory`; yield what serves the kinds of resources `used`."""
    log = directory / "aws-provider.log"
    with Processes() as processes:
        process = processes.start("aws", [str(program), "-debug"], os.environ, log=log, directory=directory)

        def address() -> str | None:
            assert process.exit_code is None, process.log_tail()
            found = re.search(r"TF_REATTACH_PROVIDERS='(.*)'", log.read_text())
            if not found:
                return None
            [row] = json.loads(found[1]).values()
            return str(row["Addr"]["String"])

        socket = wait_until(address, process.log_tail)
        options = [("grpc.max_receive_message_length", -1)]
        with closing(grpc.insecure_channel(f"unix:{socket}", options=options)) as channel:
            yield _Forwarder(channel, used)


class _Forwarder(Provider):
    def __init__(self, channel: grpc.Channel, used: Set[str]) -> None:
        schemas = channel.unary_unary(f"{_SERVICE}/GetSchema")(b"", timeout=PATIENCE)
        super().__init__(only_used(schemas, used))
        self._channel = channel

    def answer(self, method: str) -> Callable[[bytes], bytes]:
        ask = self._channel.unary_unary(f"{_SERVICE}/{method}")
        return lambda request: ask(request, timeout=PATIENCE)


def only_used(schemas: bytes, used: Set[str]) -> bytes:
    """Return a GetProviderSchema.Response without the entries of other names."""
    return b"".join(
        encoded_field(number, value)
        for number, value in _fields(schemas)
        if number not in SCHEMAS_BY_NAME or dict(_fields(value))[1].decode() in used
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of a message's fields: protobuf's wire format, if all have a length."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        assert tag & 7 == 2, f"field {tag >> 3} has no length"
        length, position = _varint(message, position)
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
