"""A replica in a directory: its setting, and a server of its signed URLs."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from werkzeug.serving import make_server

from local.supervisor.ports import HOST
from run.api import signed_objects
from run.api.errors import install_error_handlers
from run.api.request_log import install_request_log
from shared.replicas import Replicas
from shared.tracing import Tracer
from tests.support.server_threads import in_thread

NAME = "file"
MAIN, CHECKOUT = "directory-main", "directory-checkout"


def directory_replica(root: Path, url: str) -> dict[str, str]:
    """Make buckets and a key below `root`, and return the setting of replica NAME, served below `url`."""
    for bucket in (MAIN, CHECKOUT):
        (root / "buckets" / bucket).mkdir(parents=True)
    key = root / "key"
    key.write_text(secrets.token_hex(32))
    return {
        "name": NAME,
        "scheme": "file",
        "bucket": MAIN,
        "checkout_bucket": CHECKOUT,
        "root": str(root / "buckets"),
        "signing_key_file": str(key),
        "url": url,
    }


@contextlib.contextmanager
def served_objects(replicas: Replicas, port: int) -> Iterator[None]:
    """Serve the signed URLs of such a replica as the API does, and nothing else."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    signed_objects.install(app, replicas)
    install_error_handlers(app, debug=False)
    install_request_log(app, Tracer())
    server = make_server(HOST, port, app, threaded=True)
    with in_thread(server):
        yield
