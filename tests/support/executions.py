"""A server of the Executions API, for tests that start workflows of which nothing needs to come."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local import probes
from local.components.workflows import server_command
from local.config import base_environment
from local.source_tree import ROOT
from local.supervisor import forkserver
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import Processes
from tests.support.waiting import wait_until


@contextmanager
def executions_server(stack: Mapping[str, str], scratch: Path) -> Iterator[str]:
    """Yield where executions can be started, for DSS_WORKFLOWS_EMULATOR_HOST; their steps all fail."""
    with reserve() as keeper, reserve() as rest, Processes() as processes:
        port = keeper.getsockname()[1]
        forkserver.start(
            processes,
            "workflows",
            server_command(
                port=port,
                rest_port=rest.getsockname()[1],
                workflows=ROOT / "workflows",
                prefix="dss-",
                data=scratch,
                issuer=stack["OIDC_ISSUER"],
            ),
            {**base_environment(os.environ), **stack},
            log=scratch / "log",
            directory=scratch,
        )

        def listens() -> bool:
            try:
                probes.listens(HOST, port)
            except probes.NotReady:
                return False
            return True

        wait_until(listens, "executions can be started")
        yield f"{HOST}:{port}"
