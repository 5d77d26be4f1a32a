"""`dss local` of a part of the system: `python -m tests.support.small_local OPTIONS`.

It starts at a fraction of the cost, and has one of each: JVMs, forked programs, a server with workers.
"""

from dataclasses import replace

from local import command
from local.components import api, firestore, gcs, pubsub, token_issuer
from local.components.base import Component, Exported
from local.config import StackConfig


def lone_api(config: StackConfig, exported: Exported) -> Component:
    """The API, which waits for no more than is there."""
    component = api(config, exported)
    return replace(component, uses=("firestore", "pubsub", "gcs", "token issuer"))


if __name__ == "__main__":
    command.TABLE = (firestore, pubsub, gcs, token_issuer, lone_api)
    command.local(prog_name="dss local")
