"""Checks that need no cloud: programs, variables, names, and what a fresh project lets be deployed."""

import re
import shutil
from collections.abc import Iterator

import requests

from run.deploy.configuration import GCS_BUCKETS, S3_BUCKETS, VCPU_OF_INSTANCE, Configuration, text_of
from run.deploy.findings import Finding, ok, unknown, warning, wrong

PROGRAMS = {
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "terraform": "https://developer.hashicorp.com/terraform/install",
}
# Cloud Run: vCPU and MiB in a region, of a project that has asked for no more. It compares them with each
# service: its largest number of instances times what each has.
# https://cloud.google.com/run/docs/configuring/max-instances-limits
FRESH_VCPU, FRESH_MIB = 20, 40 * 1024
# GCS and S3.
_LONGEST_BUCKET = 63
# Builds set these.
_BUILT = {"project_id", "region", "stage", "image", "aws_deploy_role_arn"}
_SECONDS = 10


def check_programs() -> Iterator[Finding]:
    """Look for the programs that the guide needs."""
    for name, where in PROGRAMS.items():
        if shutil.which(name):
            yield ok("programs", name)
        else:
            yield wrong("programs", f"{name} is missing", f"Install it: {where}")


def check_variables(configuration: Configuration) -> Iterator[Finding]:
    """Compare the given variables with those that `terraform/variables.tf` declares."""
    given, declared = configuration.given, configuration.declared
    for name in sorted(set(given) - set(declared)):
        yield wrong("variables", f"{name} is no variable", "Remove it; terraform/variables.tf has them all.")
    for name in sorted(_BUILT & set(given)):
        yield wrong("variables", f"{name} is set", "Remove it: builds set it.")
    missing = {name for name, row in declared.items() if "default" not in row} - set(given) - _BUILT
    for name in sorted(missing):
        yield wrong("variables", f"{name} is not set", f"Set it: {text_of(declared[name]['description'])}")
    if not missing and set(given) <= set(declared) - _BUILT:
        yield ok("variables", f"{len(given)} are set, as terraform/variables.tf declares them")
    if not configuration.value("admin_emails"):
        yield warning("variables", "admin_emails is empty", "Name an admin, or nobody can delete anything.")
    if not configuration.value("alert_emails"):
        yield warning("variables", "alert_emails is empty", "Name whom alerts wake, or alerts reach nobody.")


def check_names(configuration: Configuration) -> Iterator[Finding]:
    """Look whether the names of buckets are allowed; both clouds have rules."""
    for suffix in sorted({*GCS_BUCKETS, *S3_BUCKETS}):
        name = f"{configuration.bucket_prefix}-{suffix}"
        if len(name) > _LONGEST_BUCKET or not re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", name):
            yield wrong(
                "names",
                f"{name} can't be the name of a bucket in both clouds",
                f"Set bucket_prefix: {_LONGEST_BUCKET - len(suffix) - 1} letters a-z, digits and - at most.",
            )
            return
    yield ok(
        "names", f"buckets begin with {configuration.bucket_prefix}-, all else with {configuration.prefix}-"
    )


def check_instances(
    configuration: Configuration, vcpu: float = FRESH_VCPU, mib: float = FRESH_MIB, *, known: bool = False
) -> Iterator[Finding]:
    """Compare the largest numbers of instances with Cloud Run's quota; `known` if it is the project's own."""
    whose = f"the quota of {configuration.region}" if known else "a fresh project"
    too_large = False
    for service in configuration.services:
        most = int(min(vcpu // VCPU_OF_INSTANCE, mib // service.memory_mib))
        if service.instances > most:
            too_large = True
            finding = wrong if known else warning
            yield finding(
                "instances",
                f"{service.name}: {service.instances} instances, and {whose} allows {most}",
                f"Set {service.variable or 'its number in terraform/functions.tf'} to {most}, or have the"
                " quota of Cloud Run raised (CPU and memory allocation per region).",
            )
    if not too_large:
        yield ok("instances", f"all {len(configuration.services)} services fit into {whose}")


def check_issuers(configuration: Configuration, session: requests.Session) -> Iterator[Finding]:
    """Ask each OpenID provider for its configuration, as the API will."""
    rows = [
        configuration.value("oidc_issuer"),
        *(row["issuer"] for row in configuration.value("oidc_issuers") or []),
    ]
    for issuer in filter(None, rows):
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            answer = session.get(url, timeout=_SECONDS)
            document = answer.json() if answer.status_code == 200 else {}
        except (requests.RequestException, ValueError) as error:
            yield wrong("issuers", f"{url}: {type(error).__name__}", "Correct oidc_issuer, or its server.")
            continue
        if document.get("issuer", "").rstrip("/") != issuer.rstrip("/"):
            says = f"{url}: {answer.status_code}, and its issuer is {document.get('issuer')!r}"
            yield wrong("issuers", says, "Set oidc_issuer to the `iss` of its tokens.")
        elif "RS256" not in document.get("id_token_signing_alg_values_supported", ["RS256"]):
            yield wrong("issuers", f"{issuer} does not sign with RS256", "Have it do so; others are refused.")
        elif not document.get("jwks_uri"):
            yield wrong("issuers", f"{issuer} names no keys", "Its configuration needs jwks_uri.")
        else:
            yield ok("issuers", issuer)


def unreachable(check: str, error: Exception) -> Finding:
    """Return that a cloud could not be asked."""
    return unknown(
        check,
        f"{type(error).__name__}: {str(error)[:200]}",
        "Sign in, or mend the network; then check again.",
    )
