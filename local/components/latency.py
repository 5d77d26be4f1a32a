"""A delay before every request to GCS, S3 and Firestore, as on the way to a cloud."""

import sys
from functools import partial
from urllib.parse import urlsplit

from local import probes
from local.components.base import Builder, Component, Exported
from local.components.stores import s3
from local.config import StackConfig
from local.supervisor.ports import HOST

# The variables with the addresses of the emulators that are delayed.
_FIRESTORE, _GCS, _S3 = "FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL"


def delayed(table: tuple[Builder, ...], milliseconds: float) -> tuple[Builder, ...]:
    """Return the table with delays for the rows after S3, and for the users of the stack.

    The rows before, and the set-up of buckets and notifications, have none.
    """
    place = table.index(s3) + 1
    return (*table[:place], partial(latency, milliseconds), *table[place:])


def latency(milliseconds: float, config: StackConfig, exported: Exported) -> Component:
    """A proxy in front of each emulator, which delays requests; its address is exported as the emulator's."""
    targets = {name: exported[name] for name in (_FIRESTORE, _GCS, _S3) if name in exported}
    ports = {name: config.ports.of(f"latency of {name}") for name in targets}
    addresses = {
        name: f"http://{HOST}:{port}" if "://" in targets[name] else f"{HOST}:{port}"
        for name, port in ports.items()
    }
    # A later run that sourced our environment file knows the server of STORAGE_EMULATOR_HOST as ours.
    ours = {"DSS_LOCAL_GCS_URL": addresses[_GCS]} if "DSS_LOCAL_GCS_URL" in exported else {}
    return Component(
        name="latency",
        command=(
            *(sys.executable, "-m", "local.servers.latency", f"{milliseconds:g}"),
            *(f"{port}={_host_and_port(targets[name])}" for name, port in ports.items()),
        ),
        ready=partial(_all_listen, list(ports.values())),
        exports={**addresses, **ours},
    )


def _host_and_port(address: str) -> str:
    parts = urlsplit(address if "://" in address else f"//{address}")
    return f"{parts.hostname}:{parts.port or 80}"


def _all_listen(ports: list[int]) -> None:
    for port in ports:
        probes.listens(HOST, port)
