"""Run `terraform` without a cloud, on a copy of `terraform/` and of the files that it reads.

The providers google, google-beta and time are stand-ins, aws is the real one, from a mirror or else from its
registry (`aws_provider.py`); a plan mocks all of them.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import SLOWNESS

ROOT = Path(__file__).resolve().parents[2]
SUBSCRIPTIONS = ROOT / "functions" / "subscriptions.json"
MISSING_TERRAFORM = "terraform (1.11 or newer) is missing: https://developer.hashicorp.com/terraform/install"
MISSING_PROVIDER = """terraform can't get its aws provider:

{error}
Give the machine network, or unpack the provider into a mirror (`terraform providers mirror DIR`, run in
terraform/aws/) and set TF_PLUGIN_DIR=DIR."""

# Where Terraform itself looks for mirrors, and where images put them.
MIRRORS = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt/*",
)

MOCKS = """
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_compute_global_address" {
    defaults = { address = "203.0.113.9" }
  }
}
mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:111122223333:dss-object-events" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/dss-boundary" }
  }
}
"""
# Of one module only.
MORE_MOCKS = {"": 'mock_provider "time" {}\n', "bootstrap": 'mock_provider "google-beta" {}\n'}

Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """A service of Cloud Run, with its one container."""

    values: Json

    @property
    def template(self) -> Json:
        """What its revisions are made of."""
        [template] = self.values["template"]
        found: Json = template
        return found

    @property
    def container(self) -> Json:
        """What runs in its instances."""
        [container] = self.template["containers"]
        found: Json = container
        return found

    @property
    def environment(self) -> dict[str, str | None]:
        """The variables of its process; the value of a secret is None."""
        return {row["name"]: row["value"] for row in self.container["env"]}

    @property
    def given(self) -> dict[str, str]:
        """The variables of its process that are no secrets."""
        return {name: value for name, value in self.environment.items() if value is not None}

    @property
    def secrets(self) -> list[tuple[str, str, str]]:
        """The variables that are secrets: name, secret, version."""
        return [
            (row["name"], one["secret"], one["version"])
            for row in self.container["env"]
            for source in row["value_source"]
            for one in source["secret_key_ref"]
        ]

    @property
    def secret_files(self) -> list[tuple[str, str, str]]:
        """The files that are secrets: secret, path, version."""
        places = {row["name"]: row["mount_path"] for row in self.container["volume_mounts"]}
        return [
            (secret["secret"], f"{places[row['name']]}/{item['path']}", item["version"])
            for row in self.template["volumes"]
            for secret in row["secret"]
            for item in secret["items"]
        ]

    @property
    def limits(self) -> dict[str, str]:
        """The CPUs and the memory of an instance."""
        [resources] = self.container["resources"]
        found: dict[str, str] = resources["limits"]
        return found

    @property
    def max_instances(self) -> int:
        """How many instances there are at most."""
        return int(self.template["scaling"][0]["max_instance_count"])

    @property
    def concurrency(self) -> int:
        """How many requests an instance gets at once."""
        return int(self.template["max_instance_request_concurrency"])

    @property
    def timeout_seconds(self) -> int:
        """After how long Cloud Run ends a request."""
        return int(self.template["timeout"].removesuffix("s"))


@dataclass(frozen=True)
class Deployment:
    """The plan for given variables, with made-up values for the attributes that a cloud decides."""

    resources: Mapping[str, Json]
    outputs: Json

    def of_type(self, name: str) -> dict[str, Json]:
        """Return the resources or data sources of a type, by address."""
        return {address: row["values"] for address, row in self.resources.items() if row["type"] == name}

    def by_key(self, address: str) -> dict[str, Json]:
        """Return the values of the instances of a resource with `for_each`, by key."""
        start, end = f'{address}["', '"]'
        return {
            name.removeprefix(start).removesuffix(end): row["values"]
            for name, row in self.resources.items()
            if name.startswith(start)
        }

    @property
    def api(self) -> Service:
        """The service of the API."""
        return Service(self.one("google_cloud_run_v2_service.api"))

    @property
    def functions(self) -> dict[str, Service]:
        """The services of the functions, by entry point."""
        rows = self.by_key("google_cloud_run_v2_service.function")
        return {name: Service(values) for name, values in rows.items()}

    def one(self, address: str) -> Json:
        """Return the values at an address."""
        values: Json = self.resources[address]["values"]
        return values


class Workspace:
    """A copy of the files that `terraform` reads, in which it works on `module`, a directory of `terraform/`.

    A failure names the program that the machine lacks.
    """

    def __init__(self, root: Path, provider: Mapping[str, str], module: str = "") -> None:
        self.root = root
        self.directory = root / "terraform" / module
        self._module = module
        self._environment = _environment(provider)
        shutil.copytree(ROOT / "terraform", root / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
        shutil.copytree(ROOT / "workflows", root / "workflows")
        (root / "functions").mkdir()
        shutil.copy(SUBSCRIPTIONS, root / "functions")

    def initialize(self) -> None:
        """Install the providers."""
        mirror = _mirror(self.root / "terraform" / "aws" / "versions.tf")
        done = self.run(
            "init", "-backend=false", "-input=false", *([f"-plugin-dir={mirror}"] if mirror else [])
        )
        if done.returncode:
            pytest.fail(MISSING_PROVIDER.format(error=done.stderr), pytrace=False)

    def program(self, provider: str) -> Path:
        """Return the program of a provider that `initialize` has installed."""
        installed = self.directory / ".terraform" / "providers" / "registry.terraform.io" / "hashicorp"
        [program] = (installed / provider).glob(f"*/*/terraform-provider-{provider}*")
        return program

    def validate(self) -> list[str]:
        """Return the findings of `terraform validate`, each as `file: summary. detail`."""
        answer = json.loads(self.run("validate", "-json").stdout)
        return [_diagnosis(row) for row in answer["diagnostics"]]

    def apply(self, runs: Mapping[str, Json]) -> dict[str, Deployment]:
        """Apply each set of variables, and return the deployments. Fail the test if Terraform refuses one."""
        messages = self._test(runs)
        errors = [_diagnosis(row["diagnostic"]) for row in messages if row["type"] == "diagnostic"]
        assert not errors, errors
        states = [row for row in messages if row["type"] == "test_state"]
        return {row["@testrun"]: _deployment(row["test_state"]) for row in states}

    def refusals(self, variables: Json) -> list[str]:
        """Return the errors that Terraform reports for these variables."""
        messages = self._test({"refused": variables})
        return [_diagnosis(row["diagnostic"]) for row in messages if row["type"] == "diagnostic"]

    def _test(self, runs: Mapping[str, Json]) -> list[Json]:
        # One file with one run after the other, so that Terraform destroys everything only once.
        content = MOCKS + MORE_MOCKS[self._module]
        for name, variables in runs.items():
            given = "\n".join(f"    {key} = {json.dumps(value)}" for key, value in variables.items())
            content += f'\nrun "{name}" {{\n  variables {{\n{given}\n  }}\n}}\n'
        file = f"{'_'.join(runs)}.tftest.hcl"
        (self.directory / file).write_text(content)
        done = self.run("test", "-json", "-verbose", f"-filter={file}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one terraform command in the copy."""
        return subprocess.run(
            [terraform(), command, "-no-color", *arguments],
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SLOWNESS * 120,
            check=False,
        )


def terraform() -> str:
    """Return the path of the terraform program."""
    found = shutil.which("terraform")
    if not found:
        pytest.fail(MISSING_TERRAFORM, pytrace=False)
    return found


def _environment(provider: Mapping[str, str]) -> dict[str, str]:
    # Go: collect garbage when the heap is five times the live data, not twice. Most of it are the providers'
    # schemas, which stay: a test of two deployments took 12 s of CPU time, and takes 8.5 s.
    environment = {**os.environ, **provider, "CHECKPOINT_DISABLE": "1", "GOGC": "400"}
    # A configuration file that does not exist would be a warning on every run.
    if not Path(environment.get("TF_CLI_CONFIG_FILE", "")).is_file():
        environment.pop("TF_CLI_CONFIG_FILE", None)
    return environment


def _mirror(versions: Path) -> Path | None:
    given = os.environ.get("TF_PLUGIN_DIR")
    if given:
        return Path(given).resolve()
    pinned = re.search(r'^ +version += "([\d.]+)"', versions.read_text(), re.MULTILINE)
    assert pinned, f"{versions} pins no version"
    for place in MIRRORS:
        expanded = Path(place).expanduser()
        for directory in expanded.parent.glob(expanded.name):
            if any(directory.glob(f"registry.terraform.io/hashicorp/aws/{pinned[1]}/*")):
                return directory
    return None


def _diagnosis(row: Json) -> str:
    place = row.get("range", {}).get("filename", "")
    return f"{place}: {row['summary']}. {row.get('detail', '')}"


def _deployment(state: Json) -> Deployment:
    resources: dict[str, Json] = {}
    modules = [state["root_module"]]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        resources |= {row["address"]: row for row in module.get("resources", [])}
    outputs = {name: row["value"] for name, row in state["outputs"].items()}
    return Deployment(resources, outputs)
