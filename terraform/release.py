"""Move requests from what serves to what was just deployed, and back: steps of cloudbuild-apply.yaml.

    python3 terraform/release.py hold  --region=us-east1 --record=FILE   before an apply
    python3 terraform/release.py offer --region=us-east1                 prints a URL of the new revision
    python3 terraform/release.py serve --region=us-east1                 it works
    python3 terraform/release.py back  --region=us-east1 --record=FILE   it does not

It needs `gcloud` and nothing else. Every step may be run again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# Under which the new revision is tried.
TAG = "next"
_SECONDS = 600


class Services:
    """The services of Cloud Run of one deployment: the API, and the functions."""

    def __init__(self, stage: str, region: str) -> None:
        self._stage = stage
        self._region = region
        self.api = f"dss-{stage}-api" if stage else "dss-api"

    def names(self) -> list[str]:
        """Return the names of those that are there."""
        ours = f"metadata.labels.stage={self._stage}" if self._stage else "NOT metadata.labels.stage:*"
        rows = self._gcloud("list", f"--filter=metadata.labels.system=dss AND {ours}", "--format=json")
        return sorted(row["metadata"]["name"] for row in json.loads(rows))

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a service."""
        status: dict[str, Any] = self._described(name)["status"]
        return status

    def serving(self, name: str) -> str:
        """Return the revision that gets the most requests."""
        status = self.status(name)
        targets = sorted(status.get("traffic", []), key=lambda row: row.get("percent", 0))
        return str(targets[-1].get("revisionName") or status["latestReadyRevisionName"])

    def is_public(self) -> bool:
        """Return whether the API takes requests from everywhere."""
        annotations = self._described(self.api)["metadata"].get("annotations", {})
        return annotations.get("run.googleapis.com/ingress", "all") == "all"

    def send(self, name: str, *options: str) -> None:
        """Change where the requests of a service go."""
        self._gcloud("update-traffic", name, *options, "--quiet")

    def _described(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self._gcloud("describe", name, "--format=json"))
        return described

    def _gcloud(self, *arguments: str) -> str:
        command = ["gcloud", "run", "services", *arguments, f"--region={self._region}"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=_SECONDS).stdout


def hold(services: Services, record: Path) -> None:
    """Record what serves, and keep requests there; at the first apply there is nothing yet."""
    served = {name: services.serving(name) for name in services.names()}
    record.write_text(json.dumps(served))
    for name, revision in served.items():
        services.send(name, f"--to-revisions={revision}=100")


def offer(services: Services) -> str:
    """Return a URL at which the newest revision of the API answers; `unreachable` if it is not public."""
    if not services.is_public():
        return "unreachable"
    newest = services.status(services.api)["latestReadyRevisionName"]
    services.send(services.api, f"--update-tags={TAG}={newest}")
    [target] = [row for row in services.status(services.api)["traffic"] if row.get("tag") == TAG]
    return str(target["url"])


def serve(services: Services) -> None:
    """Send all requests to the newest revisions: functions first, which do what the API orders."""
    for name in sorted(services.names(), key=lambda name: name == services.api):
        newest = services.status(name)["latestReadyRevisionName"]
        services.send(name, f"--to-revisions={newest}=100")


def back(services: Services, record: Path) -> None:
    """Send the requests of all services to what the record says has served them."""
    for name, revision in json.loads(record.read_text()).items():
        if services.serving(name) != revision:
            services.send(name, f"--to-revisions={revision}=100")


def main(arguments: list[str]) -> None:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("hold", "offer", "serve", "back"))
    parser.add_argument("--stage", default="")
    parser.add_argument("--region", required=True)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args(arguments)
    services = Services(given.stage, given.region)
    if given.step == "hold":
        hold(services, given.record)
    elif given.step == "offer":
        print(offer(services))
    elif given.step == "serve":
        serve(services)
    else:
        back(services, given.record)


if __name__ == "__main__":
    main(sys.argv[1:])
