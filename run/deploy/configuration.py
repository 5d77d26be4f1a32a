"""What `terraform/` and the variables of a deployment say, as far as checks need it.

The files are parsed, and no expression is evaluated: what is read here is written as plain values.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import hcl2
from lark.exceptions import LarkError

from dss.errors import InvalidInput

_REFERENCE = re.compile(r"\$\{var\.(\w+)\}")
_MEMORY = {"Mi": 1, "Gi": 1024}
# Each instance of the API and of the functions has one (terraform/api.tf, functions.tf).
VCPU_OF_INSTANCE = 1
# In both clouds; `source` and `reports` in GCS alone, `audit-log` in S3 alone.
GCS_BUCKETS = ("main", "checkout", "staging", "reports", "source")
S3_BUCKETS = ("main", "checkout", "staging", "audit-log")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service of Cloud Run, the API or a function: its largest number of instances, and MiB of each."""

    name: str
    variable: str
    instances: int
    memory_mib: int


class Configuration:
    """A deployment: the variables of a file, and the defaults and tables of `terraform/`.

    Raise InvalidInput if a file is missing, or is no HCL.
    """

    def __init__(self, terraform: Path, variables: Path, project: str, region: str, stage: str = "") -> None:
        self.terraform = terraform
        self.project = project
        self.given = _plain(_parsed(variables))
        self._region = region
        self._stage = stage

    @cached_property
    def declared(self) -> Mapping[str, Mapping[str, Any]]:
        """The variables of `terraform/`, by name."""
        rows = _parsed(self.terraform / "variables.tf")["variable"]
        return {text_of(name): block for row in rows for name, block in row.items()}

    def value(self, name: str) -> Any:
        """Return the value of a variable: as given, or its default."""
        return self.given.get(name, _plain(self.declared[name].get("default")))

    @property
    def region(self) -> str:
        """The region of Cloud Run and of builds."""
        return self._region

    @property
    def prefix(self) -> str:
        """What names begin with (local.prefix of terraform/project.tf)."""
        return "-".join(filter(None, ("dss", self._stage)))

    @property
    def bucket_prefix(self) -> str:
        """What names of buckets begin with."""
        return self.value("bucket_prefix") or f"{self.project}-{self.prefix}"

    @property
    def database(self) -> str:
        """The Firestore database of the catalog."""
        default = self.prefix if self._stage else "(default)"
        return self.value("firestore_database") or default

    @cached_property
    def services(self) -> list[Service]:
        """The API, and the functions that this deployment has."""
        found = [
            Service(
                name="api",
                variable="api_max_instances",
                instances=self.value("api_max_instances"),
                memory_mib=1024,
            )
        ]
        rows = dict(self._locals("functions.tf")["functions_of_all"])
        if self.value("catalogues"):
            text = (self.terraform / "explore.tf").read_text()
            rows["explore"] = {
                "memory": re.findall(r'memory += "(\w+)"', text)[0],
                "max_instances": "${var.explore_max_instances}",
            }
        for name, row in rows.items():
            limit = row["max_instances"]
            reference = _REFERENCE.fullmatch(str(limit))
            variable = reference[1] if reference else ""
            found.append(
                Service(
                    name=text_of(name),
                    variable=variable,
                    instances=self.value(variable) if variable else int(limit),
                    memory_mib=_mib(text_of(row["memory"])),
                )
            )
        return found

    @cached_property
    def apis(self) -> list[str]:
        """The APIs that `terraform/bootstrap/` switches on."""
        return [text_of(name) for name in self._bootstrap("services")]

    @cached_property
    def agents(self) -> list[str]:
        """The services whose own accounts `terraform/bootstrap/` has Google make."""
        return [text_of(name) for name in self._bootstrap("agents")]

    @cached_property
    def deploy_roles(self) -> list[str]:
        """The roles that the account that deploys holds in each project."""
        text = str(self._bootstrap("deploy_roles")).partition("]")[0]
        return re.findall(r'"([\w.]+)"', text)

    def _bootstrap(self, name: str) -> Any:
        return self._locals("bootstrap/main.tf")[name]

    def _locals(self, file: str) -> dict[str, Any]:
        blocks = _parsed(self.terraform / file)["locals"]
        return {name: value for block in blocks for name, value in block.items()}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return _tree(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    except LarkError as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(f"{path}: this is not Terraform's language: {reason}") from error


@cache
def _tree(text: str) -> dict[str, Any]:
    # A second for a large file.
    parsed: dict[str, Any] = hcl2.loads(text)
    return parsed


def _plain(value: Any) -> Any:
    """Return a value without the quotes and notes of the parser."""
    if isinstance(value, dict):
        return {text_of(name): _plain(each) for name, each in value.items() if not name.startswith("__")}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return text_of(value) if isinstance(value, str) else value


def text_of(text: str) -> str:
    """Return a text of the parser without its quotes."""
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        # An escape that JSON does not know.
        return text.strip('"')


def _mib(text: str) -> int:
    return int(text[:-2]) * _MEMORY[text[-2:]]
