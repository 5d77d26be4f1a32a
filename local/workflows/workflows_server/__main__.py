"""Serves the Executions API: `python -m workflows_server PORT REST_PORT WORKFLOWS DATA PREFIX`."""

import sys
from pathlib import Path

from local.ports import HOST
from workflows_server import rest, server
from workflows_server.executions import Executions
from workflows_server.launching import Launcher
from workflows_server.methods import Methods


def main() -> None:
    """Serve until asked to stop."""
    port, rest_port, workflows, data, prefix = sys.argv[1:]
    # First of all, see there.
    launcher = Launcher()
    methods = Methods(Executions(Path(workflows), prefix, Path(data), launcher))
    by_rest = rest.serve(methods, HOST, int(rest_port))
    # Held, for it ends with what it is held by.
    by_grpc = server.serve(methods, f"{HOST}:{port}")  # noqa: F841
    by_rest.serve_forever()


if __name__ == "__main__":
    main()
