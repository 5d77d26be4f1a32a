"""`python -m gcs_server`: the server as a process, which prints its address when it is ready."""

import argparse
import signal
import sys
from pathlib import Path

import gcs_server
from gcs_server.server import Server, Settings


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then exit with 0; exit with 2 if the start fails."""
    parser = _parser()
    options = parser.parse_args(arguments)
    # Raised in the main thread, in accept: open connections end with the process.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        settings = Settings(
            data=options.data,
            signing_keys=[path.read_bytes() for path in options.signing_cert],
            pubsub_emulator=options.pubsub_emulator,
            project=options.project,
            rewrite_bytes_per_call=options.rewrite_bytes_per_call,
        )
        server = Server(settings, options.port)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"Google Cloud Storage on {server.address}", flush=True)
    server.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gcs_server",
        description=gcs_server.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where to keep everything")
    parser.add_argument(
        "--signing-cert",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="certificate, public key or HMAC key of a signer of URLs; can be given several times",
    )
    parser.add_argument("--pubsub-emulator", metavar="HOST:PORT", help="where to publish notifications")
    parser.add_argument("--project", default="dss-local", help="project of buckets created without one")
    parser.add_argument(
        "--rewrite-bytes-per-call",
        type=int,
        default=1024**3,
        metavar="BYTES",
        help="bytes that one call of a rewrite moves between locations or storage classes (default: 1 GiB)",
    )
    return parser


if __name__ == "__main__":
    main()
