"""`make machine`: names all that the tests need and this machine lacks, each with what installs it."""

import os
import shutil
import sys
from collections.abc import Mapping

from local.errors import MissingRequirements
from local.machine import find_emulators
from local.servers.postgresql import find_programs

# Programs, any of the names of each, and what installs it.
PROGRAMS = {
    ("curl",): "apt-get install curl",
    ("chromium", "chromium-browser", "google-chrome"): "apt-get install --no-install-recommends chromium",
    ("gcloud",): "apt-get install google-cloud-cli, or https://cloud.google.com/sdk/docs/install",
    ("terraform",): "https://developer.hashicorp.com/terraform/install (1.11 or newer)",
}


def missing(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each thing that is missing."""
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
