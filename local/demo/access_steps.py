"""The step of the demo for managed data."""

import os
import subprocess
import sys
import time

from dss.client import Client
from dss.errors import CallFailed
from local.demo.steps import REPLICAS, Scene, check
from local.source_tree import python_path

# The group of DSS_TOKEN; DSS_TOKEN_OTHER_GROUP is in another one.
_GROUP = "dss"
_COMMAND_SECONDS = 120.0


def bind_to_a_group(scene: Scene) -> str:
    """Bind the bundle with its files to a group by `dss admin access`, see who reads it, and unbind it."""
    began = time.monotonic()
    _access(scene, "add", scene.uuid, _GROUP, "--with-files")
    seconds = time.monotonic() - began
    for replica in REPLICAS:
        member = scene.client(replica)
        other = scene.client(replica, "DSS_TOKEN_OTHER_GROUP")
        # An empty token is none; without it the client would look for one.
        stranger = Client(scene.env["DSS_URL"], "", replica=replica)
        file = member.bundle(scene.uuid, scene.version)["files"][0]["uuid"]
        for kind, uuid in (("bundles", scene.uuid), ("files", file)):
            statuses = [_status(client, kind, uuid) for client in (stranger, other, member)]
            check(statuses == [401, 403, 200], f"{kind} in {replica}: {statuses}")
        listed = [row["uuid"] for row in other.bundles(prefix=scene.uuid)]
        check(not listed, f"GET /bundles/all of {replica} shows it to another group")
    _access(scene, "remove", scene.uuid, _GROUP, "--unbind")
    return f"401 for a stranger, 403 for another group, in both clouds; in effect after {seconds:.1f} s"


def _access(scene: Scene, *arguments: str) -> None:
    command = [sys.executable, "-m", "dss.commands.main", "admin", "access", *arguments]
    environment = {**os.environ, **scene.env, "PYTHONPATH": python_path()}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
    )
    check(done.returncode == 0, f"dss admin access {' '.join(arguments)}: {done.stderr.strip()[-300:]}")


def _status(client: Client, kind: str, uuid: str) -> int:
    """Return the status of a read."""
    try:
        if kind == "bundles":
            client.bundle(uuid)
        else:
            client.get_file(uuid)
    except CallFailed as error:
        return error.status
    return 200
