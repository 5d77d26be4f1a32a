"""`rclone copy` between the emulators of a running system, to compare replication with."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping

from local.config import base_environment
from local.errors import MissingRequirements

_TIMEOUT_SECONDS = 180


def find_rclone() -> str:
    """Return the path of rclone. Raise MissingRequirements, with the command that installs it."""
    found = shutil.which("rclone")
    if not found:
        raise MissingRequirements(["rclone, to measure replication against: apt-get install rclone"])
    return found


def rclone_version() -> str:
    """Return the version of rclone."""
    answer = subprocess.run([find_rclone(), "version"], capture_output=True, text=True, check=True)
    return answer.stdout.split("\n", 1)[0]


class Rclone:
    """rclone with both emulators configured: `gcs:bucket/prefix` and `s3:bucket/prefix`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._program = find_rclone()
        self._environment = {
            # Not the caller's: an AWS_CA_BUNDLE there, for one, is more than rclone 1.60 can bear.
            **base_environment(os.environ),
            **_configuration(
                "GCS",
                TYPE="google cloud storage",
                ANONYMOUS="true",
                # Else it sends access lists, which buckets with uniform access, as ours, refuse.
                BUCKET_POLICY_ONLY="true",
                **_gcs(env),
            ),
            **_configuration("S3", TYPE="s3", PROVIDER="Other", FORCE_PATH_STYLE="true", **_s3(env)),
            "RCLONE_CONFIG": "/dev/null",
        }

    def copy(self, source: str, destination: str, *options: str) -> float:
        """Copy everything under a prefix; return the seconds from its start to its exit."""
        began = time.monotonic()
        subprocess.run(
            # One attempt: what fails shall fail here, and not be hidden in the time of a second one.
            [self._program, "copy", "--retries", "1", *options, source, destination],
            env=self._environment,
            check=True,
            timeout=_TIMEOUT_SECONDS,
        )
        return time.monotonic() - began


def _gcs(env: Mapping[str, str]) -> dict[str, str]:
    return {"ENDPOINT": f"{env['STORAGE_EMULATOR_HOST']}/storage/v1/"}


def _s3(env: Mapping[str, str]) -> dict[str, str]:
    return {
        "ENDPOINT": env["AWS_ENDPOINT_URL"],
        "ACCESS_KEY_ID": env["AWS_ACCESS_KEY_ID"],
        "SECRET_ACCESS_KEY": env["AWS_SECRET_ACCESS_KEY"],
        "REGION": env["AWS_DEFAULT_REGION"],
        # The bucket exists; without this rclone creates it each time.
        "NO_CHECK_BUCKET": "true",
    }


def _configuration(remote: str, **values: str) -> dict[str, str]:
    return {f"RCLONE_CONFIG_{remote}_{name}": value for name, value in values.items()}
