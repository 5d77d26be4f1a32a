"""The server: its parts, wired together, on a port of this machine."""

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gcs_server.buckets import Buckets
from gcs_server.copying import Copying
from gcs_server.cors import Cors
from gcs_server.database import Database
from gcs_server.datafiles import DataFiles
from gcs_server.json_buckets import BucketRoutes
from gcs_server.json_objects import ObjectRoutes
from gcs_server.json_uploads import UploadRoutes
from gcs_server.notifications import Notifications
from gcs_server.objects import Objects
from gcs_server.publishing import Publisher
from gcs_server.routing import Router
from gcs_server.signatures import Signatures
from gcs_server.uploads import Uploads
from gcs_server.wire import serve
from gcs_server.xml_objects import SignedRoutes

_BACKLOG = 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a server: data directory, signers, Pub/Sub."""

    data: Path
    signing_keys: Iterable[bytes] = ()
    pubsub_emulator: str | None = None
    project: str = "dss-local"
    rewrite_bytes_per_call: int = 1024**3


class Server:
    """A server that listens at once, and answers after `run`."""

    def __init__(self, settings: Settings, port: int = 0) -> None:
        """Raise OSError if the port is taken, ValueError for a bad signing key."""
        self._socket = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._settings = settings
        settings.data.mkdir(parents=True, exist_ok=True)
        self._database = Database(settings.data / "metadata.sqlite")
        self._wakeup = threading.Event()
        publishing = settings.pubsub_emulator is not None
        self._notifications = Notifications(self._database, self._wakeup, publishing=publishing)
        self._router = self._wire()

    def run(self) -> None:
        """Answer requests until an exception, such as SystemExit, is raised."""
        host = self._settings.pubsub_emulator
        if host is not None:
            publisher = Publisher(self._database, host, self._wakeup)
            threading.Thread(target=publisher.run, daemon=True).start()
        try:
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=serve, args=(connection, self._router), daemon=True).start()
        finally:
            self._socket.close()
            self._database.close()

    def _wire(self) -> Router:
        settings = self._settings
        files = DataFiles(settings.data / "content")
        buckets = Buckets(self._database)
        objects = Objects(self._database, files, self._notifications, self.address)
        uploads = Uploads(self._database, files, objects)
        copying = Copying(self._database, buckets, objects, settings.rewrite_bytes_per_call)
        uploads.sweep()
        files.sweep(self._database.files_in_use())
        json_routes = [
            *ObjectRoutes(self._database, objects, copying).routes(),
            *UploadRoutes(files, objects, uploads).routes(),
            *BucketRoutes(buckets, self._notifications, settings.project).routes(),
        ]
        signed_routes = SignedRoutes(files, objects, Signatures(settings.signing_keys)).routes()
        return Router(json_routes, signed_routes, Cors(buckets))
