"""`make machine`: name what the tests need and this machine lacks, with the command that installs it."""

import os
import shutil
import sys
from collections.abc import Mapping

from local.errors import MissingRequirements
from local.machine import find_emulators
from local.servers.postgresql import find_programs

# The names of a program, any of which will do, and the command that installs it.
PROGRAMS = {
    ("curl",): "apt-get install curl",
    ("chromium", "chromium-browser", "google-chrome"): "apt-get install --no-install-recommends chromium",
    ("chromedriver",): "apt-get install --no-install-recommends chromium-driver",
    ("rclone",): "apt-get install rclone",
    ("gcloud",): "apt-get install google-cloud-cli, or https://cloud.google.com/sdk/docs/install",
    ("terraform",): "https://developer.hashicorp.com/terraform/install (1.11 or newer)",
}


def missing(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each missing program."""
    path = environment.get("PATH", os.defpath)
    lines = [
        f"{names[0]}: {how}"
        for names, how in PROGRAMS.items()
        if not any(shutil.which(name, path=path) for name in names)
    ]
    for find in (find_programs, find_emulators):
        try:
            find(environment)
        except MissingRequirements as error:
            lines += error.lines
    return lines


if __name__ == "__main__":
    if lacking := missing(os.environ):
        sys.exit(str(MissingRequirements(lacking)))
