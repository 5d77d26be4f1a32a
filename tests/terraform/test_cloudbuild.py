"""Both files of Cloud Build name only what is there: files, targets, substitutions, variables, steps."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.terraform_cli import ROOT, Deployment

FILES = ("cloudbuild.yaml", "cloudbuild-apply.yaml")
BUILDS = {file: yaml.safe_load((ROOT / file).read_text()) for file in FILES}
BUILD = BUILDS["cloudbuild.yaml"]
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}
APPLYING: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILDS["cloudbuild-apply.yaml"]["steps"]}
# Cloud Build: substitutions that every build has, also one that `gcloud builds submit` starts.
BUILT_IN = {"PROJECT_ID", "BUILD_ID", "SERVICE_ACCOUNT_EMAIL"}


def text(file: str) -> str:
    lines = (ROOT / file).read_text().splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


@pytest.mark.parametrize("file", FILES)
def test_every_substitution_is_declared_and_used(file: str) -> None:
    # Two dollars are one, for the shell.
    used = set(re.findall(r"(?<!\$)\$\{?(\w+)", text(file)))

    assert used - BUILT_IN == set(BUILDS[file]["substitutions"])


@pytest.mark.parametrize("file", FILES)
def test_a_substitution_that_is_mistyped_is_refused(file: str, bootstrap: dict[str, Deployment]) -> None:
    given = dict(pair.split("=", 1) for pair in bootstrap["least"].outputs["substitutions"].split(","))

    assert BUILDS[file]["options"]["substitutionOption"] == "MUST_MATCH"
    # Cloud Build then refuses what is given and not declared, so all that the guide gives has to be.
    assert set(given) <= set(BUILDS[file]["substitutions"])


@pytest.mark.parametrize(("planned", "code"), [("arn:aws:iam::1:role/a", 0), ("arn:aws:iam::2:role/b", 1)])
def test_a_plan_for_another_aws_role_is_refused(planned: str, code: int, tmp_path: Path) -> None:
    """The script of the step, with a gcloud that copies from a directory and prints a token."""
    substitutions = {"_STATE_BUCKET": "state", "_PLAN": "ID", "_AWS_ROLE_ARN": "arn:aws:iam::1:role/a"}
    (tmp_path / "aws-role").write_text(f"{planned}\n")
    subprocess.run(["tar", "--create", "--gzip", "--file=ID.tar.gz", "aws-role"], cwd=tmp_path, check=True)
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        '#!/bin/sh\nif [ "$1" = storage ]; then cp "$(basename "$3")" "$4"; else echo token; fi\n'
    )
    gcloud.chmod(0o755)
    script = APPLYING["fetch"]["args"][-1].replace("/workspace/", "")
    for name, value in {**substitutions, "SERVICE_ACCOUNT_EMAIL": "dss-deploy@a"}.items():
        script = script.replace(f"${{{name}}}", value)

    done = subprocess.run(
        ["bash", "-ceu", script.replace("$$", "$")], cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == code, done.stderr
    assert (tmp_path / "aws-token").exists() == (code == 0)
    assert (planned in done.stderr) == (code == 1)


def test_every_file_and_directory_named_is_there() -> None:
    named = [argument.removeprefix("--file=") for argument in STEPS["build"]["args"] if "--file=" in argument]
    steps = [*STEPS.values(), *APPLYING.values()]
    named += [step["dir"] for step in steps if "dir" in step]
    named += [
        path
        for step in steps
        for argument in step["args"]
        for path in re.findall(r"(?:^|python3 )(\S+\.py)\b", argument, re.MULTILINE)
    ]

    assert named
    for name in named:
        assert (ROOT / name).exists(), name


def test_an_image_is_pushed_when_its_packages_have_been_looked_at() -> None:
    [signed] = BUILD["images"]
    image = signed.removesuffix("-signed")
    scanned, listed = STEPS["scan"]["args"], STEPS["sbom"]["args"]
    file = listed[1].partition("spdx-json=")[2]

    assert BUILD["options"]["requestedVerifyOption"] == "VERIFIED"
    # One build has both tags, so both have its digest; the repository's tags are immutable.
    assert {f"--tag={image}", f"--tag={signed}"} <= set(STEPS["build"]["args"]) and signed != image
    assert listed[0] == f"docker:{image}"
    assert scanned[0] == f"sbom:{file}" and "--fail-on=critical" in scanned
    assert {"audit", "scan"} <= set(STEPS["push"]["waitFor"]) and STEPS["scan"]["waitFor"] == ["sbom"]
    assert f'cp {file} "gs://${{_STATE_BUCKET}}/sboms/' in STEPS["keep"]["args"][-1]
    # The accepted ids reach the tool that looks.
    done = subprocess.run(
        ["make", "--dry-run", "--assume-old=setup", "audit", "ACCEPTED=A-1 B-2"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--ignore-vuln=A-1 --ignore-vuln=B-2" in done.stdout


def test_the_hashes_of_providers_are_kept_by_the_first_build_and_bind_the_others() -> None:
    lock = '"gs://${_STATE_BUCKET}/terraform.lock.hcl"'

    assert f"cp --no-clobber terraform/.terraform.lock.hcl {lock}" in STEPS["keep"]["args"][-1]
    assert f"lock={lock}" in STEPS["settings"]["args"][-1]
    assert "if [ -f .terraform.lock.hcl ]; then lock=-lockfile=readonly; fi" in STEPS["plan"]["args"][-1]
    assert "-lockfile=readonly" in APPLYING["apply"]["args"][-1]
    assert {"settings"} <= set(STEPS["plan"]["waitFor"])


def test_every_target_of_make_is_there() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    for step in [*STEPS.values(), *APPLYING.values()]:
        if step.get("entrypoint") == "make":
            assert {name for name in step["args"] if "=" not in name} <= set(targets)


@pytest.mark.parametrize("steps", [STEPS, APPLYING])
def test_every_step_waits_for_steps_before_it(steps: dict[str, dict[str, Any]]) -> None:
    before: set[str] = {"-"}
    for name, step in steps.items():
        assert set(step["waitFor"]) <= before, name
        before.add(name)


def test_every_step_runs_a_named_version() -> None:
    for step in [*STEPS.values(), *APPLYING.values()]:
        assert ":" in step["name"], step["name"]


def test_every_variable_given_to_terraform_is_declared() -> None:
    given = set(re.findall(r'-var="(\w+)=', text("cloudbuild.yaml")))
    declared = set(
        re.findall(r'^variable "(\w+)"', (ROOT / "terraform/variables.tf").read_text(), re.MULTILINE)
    )

    assert given and given <= declared


def test_nothing_is_pushed_or_applied_before_the_checks_pass() -> None:
    def waits_for(name: str) -> set[str]:
        direct = set(STEPS[name]["waitFor"]) - {"-"}
        return direct.union(*map(waits_for, direct))

    assert STEPS["check"]["args"] == ["lint", "types", "quick"]
    for name in ("push", "plan", "keep"):
        assert "check" in waits_for(name), name


def test_what_is_applied_is_the_plan_that_was_kept_and_nothing_is_planned_anew() -> None:
    assert "terraform apply" not in text("cloudbuild.yaml")
    assert "terraform plan" not in text("cloudbuild-apply.yaml")
    assert (
        "-out=plan" in STEPS["plan"]["args"][-1]
        and "apply -input=false plan" in APPLYING["apply"]["args"][-1]
    )
    kept = STEPS["keep"]["args"][-1].replace("${BUILD_ID}", "ID")
    fetched = APPLYING["fetch"]["args"][-1].replace("${_PLAN}", "ID")
    place = '"gs://${_STATE_BUCKET}/plans/ID.tar.gz"'
    assert place in kept and place in fetched
    assert 'echo "${_AWS_ROLE_ARN}" > aws-role' in kept
    # The token of the build is of no use later, and is nobody's business.
    assert "--exclude=./aws-token" in kept


def test_a_deployment_that_fails_or_does_not_work_goes_back() -> None:
    for name in ("apply", "offer", "smoke"):
        assert APPLYING[name]["allowFailure"], name
    serve = APPLYING["serve"]["args"][-1]
    assert serve.startswith("if [ -f /workspace/works ]") and "release.py back" in serve and "exit 1" in serve
    assert "allowFailure" not in APPLYING["serve"]


def test_the_image_that_is_deployed_was_pushed_to_the_repository_of_terraform(
    bootstrap: dict[str, Deployment],
) -> None:
    [image] = set(re.findall(r'docker push "(.*)"', STEPS["push"]["args"][-1]))
    concrete = image.replace("${_REGION}", BUILD["substitutions"]["_REGION"]).replace(
        "${PROJECT_ID}", "a-project"
    )

    assert concrete.startswith(f"{bootstrap['least'].outputs['image_repository']}/")
    assert f"--tag={image}" in STEPS["build"]["args"]
    assert image in STEPS["check-image"]["args"]
    assert "RepoDigests" in STEPS["push"]["args"][-1]
    assert '-var="image=$$(cat /workspace/image)"' in STEPS["plan"]["args"][-1]


def test_nothing_is_pushed_before_every_function_has_loaded_in_the_image() -> None:
    [image] = set(re.findall(r'docker push "(.*)"', STEPS["push"]["args"][-1]))
    code = STEPS["check-functions"]["args"][-1]

    assert image in STEPS["check-functions"]["args"]
    assert "check-functions" in STEPS["push"]["waitFor"]
    # It runs here, too, with the source of the checkout.
    source = ROOT / "functions" / "main.py"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"FUNCTION_SOURCE": str(source), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("step", [STEPS["plan"], APPLYING["apply"]])
def test_terraform_runs_in_a_version_that_it_accepts(step: dict[str, Any]) -> None:
    _, _, version = step["name"].partition(":")

    assert tuple(map(int, version.split("."))) >= (1, 11)
