"""`python -m workflows_server`: the Executions API as a process."""

import argparse
from pathlib import Path

import workflows_server
from workflows_server import rest, server
from workflows_server.executions import Executions
from workflows_server.launching import Launcher
from workflows_server.methods import Methods
from workflows_server.options import Options


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT ends the process."""
    options = _parser().parse_args(arguments)
    # First of all: the launcher forks, and neither threads nor gRPC survive a fork.
    launcher = Launcher(Options(identity_url=options.identity_url, pace=options.pace))
    methods = Methods(Executions(options.workflows, options.prefix, options.data, launcher))
    rest_server = rest.serve(methods, options.host, options.rest_port)
    # The variable keeps the gRPC server alive.
    grpc_server = server.serve(methods, f"{options.host}:{options.port}")  # noqa: F841
    print(
        f"Executions API on {options.host}:{options.port} (gRPC) and {rest_server.server_port} (REST)",
        flush=True,
    )
    rest_server.serve_forever()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workflows_server",
        description=workflows_server.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="for gRPC")
    parser.add_argument("--rest-port", type=int, required=True, help="for REST")
    parser.add_argument(
        "--workflows",
        type=Path,
        required=True,
        metavar="DIR",
        help="where NAME.yaml is the workflow PREFIX + NAME; read again by each execution",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where executions are kept")
    parser.add_argument("--prefix", default="", help="of the names of workflows; default: none")
    parser.add_argument(
        "--identity-url",
        default="",
        metavar="URL",
        help="answers GET URL?audience=A with an OIDC token, as Google Cloud's metadata server does; "
        "without it a call with `auth` fails",
    )
    parser.add_argument(
        "--pace",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="multiplies the seconds of every sleep and retry; 0.01 makes tests fast; default: 1",
    )
    return parser


if __name__ == "__main__":
    main()
