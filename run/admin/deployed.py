"""Settings as they are deployed, and as a plan of Terraform would make them.

https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services
https://developer.hashicorp.com/terraform/internals/json-format
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dss.commands.context import Context
from dss.errors import InvalidInput
from run.admin.deliveries import operator_apis
from run.admin.operator import operator_settings
from shared.config import Settings

# In place of a value that only Secret Manager has, and of one that Terraform learns while it applies.
_SECRET, _UNKNOWN = "(a secret)", "(known after the apply)"  # no password
_PAGE = 100
# By service, then by name.
Environments = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A setting of a service: its value as deployed, and as planned; None where there is none."""

    service: str
    name: str
    deployed: str | None
    planned: str | None


def show_settings(context: Context, names: tuple[str, ...], plan: Path | None, *, changed: bool) -> int:
    """Show the settings of services, all or some. Return 1 if those of a service are wrong, else 0."""
    with operator_settings() as settings:
        planned = read_plan(plan) if plan else {}
        deployed = dict(_deployed(settings))
        # Those of a plan that nothing is deployed of yet are shown as well.
        services = sorted(deployed.keys() | planned.keys())
        if unknown := sorted(set(names) - set(services)):
            raise InvalidInput(f"service {', '.join(unknown)} is none of {', '.join(services)}")
        shown = list(names) or services
        rows = [row for name in shown for row in _rows(name, deployed.get(name), planned.get(name), plan)]
        wrong = dict(_wrong({name: deployed[name] for name in shown if name in deployed}))
    rows = [row for row in rows if not changed or row.deployed != row.planned]
    lines = [_line(row, planned=plan is not None) for row in rows]
    lines += [f"{service}: {why}" for service, why in wrong.items()]
    lines.append(f"{len(shown):,} services, {len(rows):,} settings, {len(wrong):,} wrong")
    context.show({"settings": [vars(row) for row in rows], "wrong": wrong}, "\n".join(lines))
    return 1 if wrong else 0


def _deployed(settings: Settings) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the services of this deployment with their environments. Raises OperationFailed."""
    path = f"v2/projects/{settings.project}/locations/{settings.workflows_location}/services"
    for row in operator_apis(settings).rows("run", path, "services", page=_PAGE):
        # Names would not do: those of deployment `dss` begin those of its stages.
        labels = row.get("labels", {})
        if labels.get("system") == "dss" and labels.get("stage", "") == _stage(settings):
            [container, *_] = row["template"]["containers"]
            variables = {each["name"]: _value(each) for each in container.get("env", ())}
            yield row["name"].rpartition("/")[2], variables


def _stage(settings: Settings) -> str:
    """Return the stage of this deployment, as names of its workflows have it: dss-STAGE-copy."""
    return settings.workflows_prefix.removeprefix("dss-").removesuffix("-")


def _value(variable: Mapping[str, Any]) -> str:
    # An empty value is left out.
    return _SECRET if "valueSource" in variable else str(variable.get("value", ""))


def read_plan(path: Path) -> Environments:
    """Return the environments in what `terraform show -json PLAN` prints. Raises InvalidInput."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = {}
        for resource in _resources(document["planned_values"]["root_module"]):
            values = resource["values"]
            if resource["type"] == "google_cloud_run_v2_service":
                [container, *_] = values["template"][0]["containers"]
                found[values["name"]] = {each["name"]: _planned(each) for each in container.get("env") or ()}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InvalidInput(
            f"{path}: it is not what `terraform show -json PLAN` prints: {type(error).__name__}: {error}"
        ) from error
    return found


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _planned(variable: Mapping[str, Any]) -> str:
    if variable.get("value_source"):
        return _SECRET
    value = variable.get("value")
    return _UNKNOWN if value is None else str(value)


def _rows(
    service: str, deployed: Mapping[str, str] | None, planned: Mapping[str, str] | None, plan: Path | None
) -> Iterator[Row]:
    for name in sorted((deployed or {}).keys() | (planned or {}).keys()):
        yield Row(
            service=service,
            name=name,
            deployed=(deployed or {}).get(name),
            planned=(planned or {}).get(name) if plan else None,
        )


def _wrong(deployed: Environments) -> Iterator[tuple[str, str]]:
    """Yield the services whose settings this release does not read, and why."""
    known = {row.metadata["name"] for row in fields(Settings)}
    for service, environment in deployed.items():
        strange = sorted(name for name in environment if name.startswith("DSS_") and name not in known)
        if strange:
            yield service, f"{', '.join(strange)}: no settings of this release"
            continue
        try:
            # What Secret Manager has is not known here.
            Settings.from_environment(
                {name: value for name, value in environment.items() if value != _SECRET}
            )
        except ValueError as error:
            yield service, str(error)


def _line(row: Row, *, planned: bool) -> str:
    deployed = "(not set)" if row.deployed is None else row.deployed
    line = f"{row.service}  {row.name}={deployed}"
    if not planned or row.deployed == row.planned:
        return line
    return f"{line} -> {'(not set)' if row.planned is None else row.planned}"
