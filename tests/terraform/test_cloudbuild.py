"""`cloudbuild.yaml` names only what is there: files, targets, substitutions, variables, steps."""

import re
from typing import Any

import pytest
import yaml

from tests.support.terraform_cli import ROOT, Deployment

BUILD = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}
# Cloud Build: substitutions that every build has, also one that `gcloud builds submit` starts.
BUILT_IN = {"PROJECT_ID", "BUILD_ID", "SERVICE_ACCOUNT_EMAIL"}


def text() -> str:
    lines = (ROOT / "cloudbuild.yaml").read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def test_every_substitution_is_declared_and_used() -> None:
    used = set(re.findall(r"\$\{?(\w+)", text()))

    assert used - BUILT_IN == set(BUILD["substitutions"])


def test_every_file_and_directory_named_is_there() -> None:
    named = [argument.removeprefix("--file=") for argument in STEPS["build"]["args"] if "--file=" in argument]
    named += [step["dir"] for step in STEPS.values() if "dir" in step]
    named += [
        argument for step in STEPS.values() for argument in step["args"] if re.fullmatch(r"\S+\.py", argument)
    ]

    assert named
    for name in named:
        assert (ROOT / name).exists(), name


def test_every_target_of_make_is_there() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    for step in STEPS.values():
        if step.get("entrypoint") == "make":
            assert set(step["args"]) <= set(targets)


def test_every_step_waits_for_steps_before_it() -> None:
    before: set[str] = {"-"}
    for name, step in STEPS.items():
        assert set(step["waitFor"]) <= before, name
        before.add(name)


def test_every_step_runs_a_named_version() -> None:
    for step in BUILD["steps"]:
        assert ":" in step["name"], step["name"]


def test_every_variable_given_to_terraform_is_declared() -> None:
    given = set(re.findall(r'-var="(\w+)=', text()))
    declared = set(
        re.findall(r'^variable "(\w+)"', (ROOT / "terraform/variables.tf").read_text(), re.MULTILINE)
    )

    assert given and given <= declared


def test_nothing_is_pushed_or_applied_before_the_checks_pass() -> None:
    def waits_for(name: str) -> set[str]:
        direct = set(STEPS[name]["waitFor"]) - {"-"}
        return direct.union(*map(waits_for, direct))

    assert STEPS["check"]["args"] == ["lint", "types", "quick"]
    for name in ("push", "plan", "apply"):
        assert "check" in waits_for(name), name


def test_nothing_is_applied_unless_asked_for() -> None:
    assert BUILD["substitutions"]["_APPLY"] == "false"
    applying = [step for step in STEPS.values() if "terraform apply" in step["args"][-1]]
    assert [step["id"] for step in applying] == ["apply"]
    assert applying[0]["args"][-1].startswith('if [ "${_APPLY}" = true ]')


def test_the_image_that_is_deployed_was_pushed_to_the_repository_of_terraform(
    deployments: dict[str, Deployment],
) -> None:
    image = STEPS["push"]["args"][-1]
    concrete = image.replace("${_REGION}", BUILD["substitutions"]["_REGION"]).replace(
        "${PROJECT_ID}", "a-project"
    )

    assert concrete.startswith(f"{deployments['least'].outputs['image_repository']}/")
    assert f"--tag={image}" in STEPS["build"]["args"]
    assert image in STEPS["check-image"]["args"]
    assert f'-var="api_image={image}"' in STEPS["plan"]["args"][-1]


def test_nothing_is_planned_before_the_functions_are_packed_and_load() -> None:
    [check] = [step for step in STEPS.values() if "functions.main" in step["args"][-1]]

    assert "functions" in check["waitFor"] and check["id"] in STEPS["plan"]["waitFor"]
    assert STEPS["functions"]["args"] == ["terraform/package_functions.py"]


@pytest.mark.parametrize("step", ["plan", "apply"])
def test_terraform_runs_in_a_version_that_it_accepts(step: str) -> None:
    _, _, version = STEPS[step]["name"].partition(":")

    assert tuple(map(int, version.split("."))) >= (1, 11)
