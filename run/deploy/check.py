"""All checks of a deployment, for `dss deploy check`."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from dss.commands.context import Context
from run.admin.google_apis import GoogleApis
from run.deploy.aws import check_aws
from run.deploy.configuration import Configuration
from run.deploy.findings import Finding, State
from run.deploy.google import GoogleChecks
from run.deploy.offline import (
    check_instances,
    check_issuers,
    check_names,
    check_programs,
    check_variables,
    unreachable,
)


def run_check(
    context: Context,
    *,
    terraform: Path,
    variables: Path,
    project: str,
    region: str,
    stage: str,
    offline: bool,
) -> int:
    """Check, and print what was found. Return 1 if the deployment would not work, else 0."""
    configuration = Configuration(terraform, variables, project, region, stage)
    findings = []
    for finding in all_findings(configuration, offline=offline):
        findings.append(finding)
        if not context.json:
            context.show({}, line_of(finding))
    broken = [finding for finding in findings if finding.state is State.WRONG]
    says = f"{len(broken)} of {len(findings)} would keep it from working" if broken else "ready"
    context.show({"ready": not broken, "findings": [finding.as_json() for finding in findings]}, says)
    return 1 if broken else 0


def all_findings(configuration: Configuration, *, offline: bool) -> Iterator[Finding]:
    """Yield what all checks find; `offline`, those alone that ask nobody."""
    yield from check_programs()
    yield from check_variables(configuration)
    yield from check_names(configuration)
    if offline:
        yield from check_instances(configuration)
        return
    yield from check_issuers(configuration, requests.Session())
    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    except GoogleAuthError as error:
        yield unreachable("google", error)
    else:
        yield from GoogleChecks(GoogleApis(AuthorizedSession(credentials)), configuration).run()
    yield from check_aws(boto3.Session(region_name=configuration.value("aws_region")), configuration)


def line_of(finding: Finding) -> str:
    """Return a finding as a person reads it."""
    do = f"\n{'':22}{finding.do}" if finding.do else ""
    return f"{finding.state:8}  {finding.check:10}  {finding.says}{do}"
