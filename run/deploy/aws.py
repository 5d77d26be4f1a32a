"""Checks that ask AWS, with the credentials of who runs them."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from run.deploy.configuration import S3_BUCKETS, Configuration
from run.deploy.findings import Finding, ok, unknown, wrong
from run.deploy.offline import unreachable

_BOOTSTRAP = 'Apply terraform/bootstrap/ (docs/deploy.md, "Once").'


def check_aws(session: boto3.Session, configuration: Configuration) -> Iterator[Finding]:
    """Yield what is found in the account of the session."""
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        yield unreachable("aws account", error)
        return
    yield ok("aws account", account)
    try:
        yield from _check_role(session.client("iam"), account, configuration.project)
        yield from _check_buckets(session.client("s3"), configuration)
    except (BotoCoreError, ClientError) as error:
        yield unreachable("aws", error)


def _check_role(iam: Any, account: str, project: str) -> Iterator[Finding]:
    name = f"dss-deploy-{project}"
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            yield unknown("aws role", f"{name}: {error}", "Ask for iam:GetRole, and check again.")
            return
        yield wrong("aws role", f"{name} is not there", _BOOTSTRAP)
        return
    trust = role["AssumeRolePolicyDocument"]
    document = json.loads(unquote(trust)) if isinstance(trust, str) else trust
    trusted = {statement.get("Principal", {}).get("Federated") for statement in document["Statement"]}
    if trusted != {"accounts.google.com"}:
        yield wrong("aws role", f"{name} can be assumed by others than Google's identities", _BOOTSTRAP)
    else:
        yield ok("aws role", name)
    boundary = f"arn:aws:iam::{account}:policy/dss-boundary-{project}"
    try:
        iam.get_policy(PolicyArn=boundary)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            yield unknown("aws boundary", f"{boundary}: {error}", "Ask for iam:GetPolicy, and check again.")
            return
        yield wrong("aws boundary", f"{boundary} is not there", _BOOTSTRAP)
        return
    yield ok("aws boundary", boundary)


def _check_buckets(s3: Any, configuration: Configuration) -> Iterator[Finding]:
    taken, ours = [], []
    for purpose in S3_BUCKETS:
        name = f"{configuration.bucket_prefix}-{purpose}"
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                taken.append(name)
            continue
        ours.append(name)
    if taken:
        yield wrong("aws buckets", f"of somebody else: {', '.join(taken)}", "Set bucket_prefix to another.")
    elif ours:
        says = f"{len(ours)} of {len(S3_BUCKETS)} are there: they have to be in Terraform's state"
        yield ok("aws buckets", says)
    else:
        yield ok("aws buckets", "their names are free in S3")
