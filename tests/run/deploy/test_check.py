"""`dss deploy check`: a deployment that would work is found so, and each thing that is wrong is named."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto import mock_aws

from dss.commands.main import cli
from dss.errors import InvalidInput
from run.admin.google_apis import GoogleApis
from run.deploy.aws import check_aws
from run.deploy.configuration import Configuration
from run.deploy.findings import Finding, State
from run.deploy.google import GoogleChecks
from run.deploy.offline import check_instances, check_issuers, check_names, check_variables
from tests.run.deploy.fake_google import NUMBER, FakeGoogle, serving
from tests.support.terraform_cli import ROOT

VARIABLES = """
oidc_issuer    = "https://issuer.example"
oidc_audiences = ["https://dss.example"]
admin_emails   = ["ada@example.org"]
alert_emails   = ["ada@example.org"]
"""


def configured(tmp_path: Path, more: str = "", text: str = VARIABLES) -> Configuration:
    file = tmp_path / "dss.tfvars"
    file.write_text(text + more)
    return Configuration(ROOT / "terraform", file, "a-project", "us-east1")


@pytest.fixture
def google(tmp_path: Path) -> Iterator[FakeGoogle]:
    known = configured(tmp_path)
    with serving(FakeGoogle(known.apis, known.agents, known.deploy_roles)) as fake:
        yield fake


def found_in_google(google: FakeGoogle, configuration: Configuration) -> list[Finding]:
    apis = GoogleApis(requests.Session(), f"{google.url}/{{service}}")
    return list(GoogleChecks(apis, configuration).run())


def found_offline(configuration: Configuration) -> list[Finding]:
    return [*check_variables(configuration), *check_names(configuration), *check_instances(configuration)]


def not_ok(findings: list[Finding]) -> list[tuple[str, State, str]]:
    assert all(row.do for row in findings if row.state in (State.WRONG, State.WARNING))
    return [(row.check, row.state, row.says) for row in findings if row.state is not State.OK]


def test_variables_that_suffice_are_found_so(tmp_path: Path) -> None:
    findings = found_offline(configured(tmp_path))

    assert [row.check for row in findings] == ["variables", "names", "instances"]
    assert not not_ok(findings)


@pytest.mark.parametrize(
    ("more", "check", "state", "named"),
    [
        ("staging_days = 3\n", "variables", State.WRONG, "staging_days"),
        ('region = "us-east1"\n', "variables", State.WRONG, "region"),
        ("admin_emails = []\n", "variables", State.WARNING, "admin_emails"),
        (f'bucket_prefix = "{"a" * 54}"\n', "names", State.WRONG, "audit-log"),
        ('bucket_prefix = "Upper"\n', "names", State.WRONG, "Upper"),
        ("sync_max_instances = 21\n", "instances", State.WARNING, "sync: 21 instances"),
        ("notify_max_instances = 21\n", "instances", State.WARNING, "notify: 21 instances"),
        (
            'catalogues = [{ name = "hca", plugin = "hca" }]\nexplore_max_instances = 30\n',
            "instances",
            State.WARNING,
            "explore: 30 instances, and a fresh project allows 20",
        ),
    ],
)
def test_what_is_wrong_with_variables_is_named_without_a_cloud(
    more: str, check: str, state: State, named: str, tmp_path: Path
) -> None:
    name = more.split(" ")[0]
    text = "".join(f"{line}\n" for line in VARIABLES.splitlines() if line.split(" ")[0] != name)

    [(found, found_state, says)] = not_ok(found_offline(configured(tmp_path, more, text)))

    assert (found, found_state) == (check, state) and named in says


def test_a_variable_that_is_missing_is_named_with_what_it_is(tmp_path: Path) -> None:
    findings = list(check_variables(configured(tmp_path, text='oidc_audiences = ["a"]\n')))

    [missing] = [row for row in findings if row.state is State.WRONG]
    assert "oidc_issuer" in missing.says and "OpenID provider" in missing.do


def test_a_file_that_is_no_hcl_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"dss\.tfvars: this is not Terraform"):
        configured(tmp_path, "oops = = 1\n")
    with pytest.raises(InvalidInput, match="nowhere"):
        Configuration(ROOT / "terraform", tmp_path / "nowhere", "a-project", "us-east1")


def test_a_project_that_is_ready_is_found_so(google: FakeGoogle, tmp_path: Path) -> None:
    findings = found_in_google(google, configured(tmp_path))

    assert not not_ok(findings)
    assert {row.check for row in findings} == {
        "project", "billing", "apis", "accounts", "quota", "instances", "policies", "firestore", "buckets",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "status", "document", "check", "named"),
    [
        ("v1/projects/a-project", 403, {"error": {"message": "denied"}}, "project", "denied"),
        ("billingInfo", 200, {"billingEnabled": False}, "billing", "no billing account"),
        ("pageToken=more", 200, {}, "apis", "workflows.googleapis.com"),
        (":getIamPolicy", 200, {"bindings": []}, "accounts", "pubsub is not there"),
        (":getIamPolicy", 200, {"bindings": []}, "accounts", "dss-deploy lacks"),
        ("CpuAllocPerProjectRegion", 200, FakeGoogle.quota(10_000), "instances", "us-east1 allows 10"),
        ("MemAllocPerProjectRegion", 200, FakeGoogle.quota(8 * 1024**3), "instances", "allows 4"),
        (
            "requireInvokerIam:getEffectivePolicy",
            200,
            {"spec": {"rules": [{"enforce": True}]}},
            "policies",
            "requireInvokerIam",
        ),
        (
            "MemberDomains:getEffectivePolicy",
            200,
            {"spec": {"rules": [{"values": {"allowedValues": ["C0"]}}]}},
            "policies",
            "some domains",
        ),
    ],
)
def test_what_is_wrong_with_a_project_is_named_with_what_to_do(
    ending: str,
    status: int,
    document: dict[str, Any],
    check: str,
    named: str,
    google: FakeGoogle,
    tmp_path: Path,
) -> None:
    google.set(ending, status, document)

    findings = not_ok(found_in_google(google, configured(tmp_path)))

    assert {row[:2] for row in findings} == {(check, State.WRONG)}
    assert any(named in says for _, _, says in findings)


@pytest.mark.parametrize(
    ("database", "named"),
    [
        ({"type": "DATASTORE_MODE", "locationId": "us-east1"}, "DATASTORE_MODE"),
        ({"type": "FIRESTORE_NATIVE", "locationId": "nam5"}, "nam5, not in us-east1"),
    ],
)
def test_a_database_of_another_mode_or_place_is_in_the_way(
    database: dict[str, str], named: str, google: FakeGoogle, tmp_path: Path
) -> None:
    google.answers["firestore/v1/projects/a-project/databases/(default)"] = (200, database)

    [(check, state, says)] = not_ok(found_in_google(google, configured(tmp_path)))

    assert (check, state) == ("firestore", State.WRONG) and named in says


def test_a_bucket_of_somebody_else_is_in_the_way_and_one_of_ours_is_not(
    google: FakeGoogle, tmp_path: Path
) -> None:
    bucket = "storage/storage/v1/b/a-project-dss-main"
    google.answers[bucket] = (200, {"projectNumber": NUMBER})
    assert not not_ok(found_in_google(google, configured(tmp_path)))

    google.answers[bucket] = (403, {})
    [(check, state, says)] = not_ok(found_in_google(google, configured(tmp_path)))
    assert (check, state) == ("buckets", State.WRONG) and "a-project-dss-main" in says


def test_a_cloud_that_does_not_answer_is_unknown(google: FakeGoogle, tmp_path: Path) -> None:
    google.set("billingInfo", 503, {"error": {"message": "later"}})

    [(check, state, says)] = not_ok(found_in_google(google, configured(tmp_path)))

    assert (check, state) == ("billing", State.UNKNOWN) and "later" in says


def test_an_issuer_is_asked_as_the_api_will_ask_it(google: FakeGoogle, tmp_path: Path) -> None:
    right = VARIABLES.replace("https://issuer.example", f"{google.url}/issuer")
    other = VARIABLES.replace("https://issuer.example", f"{google.url}/nobody")
    session = requests.Session()

    assert not not_ok(list(check_issuers(configured(tmp_path, text=right), session)))
    [(check, state, says)] = not_ok(list(check_issuers(configured(tmp_path, text=other), session)))
    assert (check, state) == ("issuers", State.WRONG) and "404" in says


TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Federated": "accounts.google.com"}}]}


def test_an_aws_account_is_ready_when_bootstrap_was_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    configuration = configured(tmp_path)
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        before = not_ok(list(check_aws(session, configuration)))
        assert [row[:2] for row in before] == [("aws role", State.WRONG)]

        iam = session.client("iam")
        iam.create_role(RoleName="dss-deploy-a-project", AssumeRolePolicyDocument=json.dumps(TRUST))
        assert [row[0] for row in not_ok(list(check_aws(session, configuration)))] == ["aws boundary"]

        document = {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        }
        iam.create_policy(PolicyName="dss-boundary-a-project", PolicyDocument=json.dumps(document))
        assert not not_ok(list(check_aws(session, configuration)))


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path, "staging_days = 3\n")
    arguments = [
        "check",
        "--offline",
        "--project",
        "a-project",
        "--terraform",
        str(ROOT / "terraform"),
        "--json",
    ]

    code = cli.main(["deploy", *arguments, str(tmp_path / "dss.tfvars")], standalone_mode=False)

    answer = json.loads(capsys.readouterr().out)
    says = {
        row["says"] for row in answer["findings"] if row["state"] == "wrong" and row["check"] != "programs"
    }
    assert (code, answer["ready"], says) == (1, False, {"staging_days is no variable"})
