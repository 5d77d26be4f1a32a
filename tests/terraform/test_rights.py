"""Who may do what, in both clouds: every grant is in a table here, so that none comes about unnoticed."""

import re
from typing import Any

import pytest

from shared.access.buckets import PROOF_KEY
from shared.identifiers import SAVED_SUBSCRIPTIONS, Kind
from tests.support.terraform_cli import ROOT, Deployment

READ, WRITE = "roles/storage.objectViewer", "roles/storage.objectUser"
CATALOG = ("project", "roles/datastore.user")
STARTS_WORKFLOWS = ("project", "roles/workflows.invoker")
TRACES = ("project", "roles/cloudtrace.agent")
LOGS = ("project", "roles/logging.logWriter")
PUBLISH = "roles/pubsub.publisher"

# By account: where, and which role; calls of functions are in test_functions.py.
GRANTS = {
    "dss-api": {
        ("bucket main", WRITE), ("bucket checkout", READ), ("bucket staging", READ), ("bucket reports", READ),
        CATALOG, STARTS_WORKFLOWS, ("topic deliveries", PUBLISH), ("topic replays", PUBLISH),
        ("secret dss-signing-key", "roles/secretmanager.secretAccessor"),
        ("secret dss-application-secrets", "roles/secretmanager.secretAccessor"),
        ("secret dss-sign-in-clients", "roles/secretmanager.secretAccessor"),
        ("secret dss-subscription-key", "roles/secretmanager.secretAccessor"),
        ("secret dss-postgresql-password", "roles/secretmanager.secretAccessor"),
        ("account dss-api", "roles/iam.serviceAccountTokenCreator"),
    },
    "dss-sync": {("bucket main", WRITE), ("topic dead-letters", PUBLISH), CATALOG, STARTS_WORKFLOWS},
    "dss-compact": {
        ("bucket main", WRITE), CATALOG,
        ("secret dss-subscription-key", "roles/secretmanager.secretAccessor"),
    },
    "dss-index": {
        ("bucket main", WRITE), ("topic bundle-events", PUBLISH), ("topic dead-letters", PUBLISH), CATALOG,
        ("secret dss-postgresql-password", "roles/secretmanager.secretAccessor"),
    },
    "dss-notify": {
        ("bucket main", READ), CATALOG,
        ("topic deliveries", PUBLISH), ("topic delivery-retries", PUBLISH),
        ("topic replays", PUBLISH), ("topic dead-letters", PUBLISH),
    },
    "dss-deliver": {
        ("topic delivery-retries", PUBLISH), ("topic dead-letters", PUBLISH), CATALOG,
        ("secret dss-subscription-key", "roles/secretmanager.secretAccessor"),
    },
    "dss-redeliver": {
        ("topic dead-letters", PUBLISH), CATALOG,
        ("secret dss-subscription-key", "roles/secretmanager.secretAccessor"),
    },
    "dss-s3-events": {("topic object-events", PUBLISH)},
    "dss-sweep": {
        ("bucket main", WRITE), ("bucket checkout", WRITE),
        ("topic object-events", PUBLISH), CATALOG, STARTS_WORKFLOWS,
        ("secret dss-smtp-password", "roles/secretmanager.secretAccessor"),
    },
    "dss-copy": {("bucket main", WRITE), ("bucket checkout", WRITE), ("bucket staging", READ), CATALOG},
    "dss-checkout": {
        ("bucket main", READ), ("bucket checkout", WRITE), CATALOG, STARTS_WORKFLOWS,
        ("secret dss-smtp-password", "roles/secretmanager.secretAccessor"),
    },
    "dss-administer": {
        ("bucket main", WRITE), ("bucket checkout", WRITE), ("bucket reports", WRITE),
        ("topic object-events", PUBLISH), CATALOG, STARTS_WORKFLOWS,
        ("secret dss-postgresql-password", "roles/secretmanager.secretAccessor"),
        ("secret dss-subscription-key", "roles/secretmanager.secretAccessor"),
    },
    "dss-importer": {
        ("bucket main", WRITE), ("bucket staging", READ), ("bucket reports", WRITE), CATALOG,
        STARTS_WORKFLOWS,
    },
    "dss-signer": {("bucket main", READ), ("bucket checkout", READ)},
    "dss-workflows": {LOGS},
    "dss-pubsub": set(),
    "dss-scheduler": set(),
}  # fmt: skip

# Who repairs, and how, beside what is on one place.
REPAIRING = "group:on-call@example.org"
PAUSES = "projects/a-project/roles/dssPauses"
OF_REPAIRS = {"roles/pubsub.viewer", "roles/run.viewer", PAUSES}
# Roles that the guide names for less, and those that hold all of them.
COVERED = {
    "roles/storage.objectViewer": "roles/storage.objectUser",
    "roles/datastore.viewer": "roles/datastore.user",
}

# What runs none of our code exports no spans; all else does.
WITHOUT_SPANS = {"dss-signer", "dss-workflows", "dss-pubsub", "dss-scheduler"}

# With catalogues, these as well.
TELLS_CATALOGUES = ("topic bundle-changes", PUBLISH)
OF_CATALOGUES = {
    "dss-api": {TELLS_CATALOGUES},
    "dss-sync": {TELLS_CATALOGUES},
    "dss-index": {TELLS_CATALOGUES},
    "dss-administer": {TELLS_CATALOGUES},
    "dss-importer": {TELLS_CATALOGUES},
    "dss-sweep": {TELLS_CATALOGUES, ("secret dss-postgresql-password", "roles/secretmanager.secretAccessor")},
    "dss-manifest": {
        ("bucket main", WRITE), CATALOG,
        ("secret dss-postgresql-password", "roles/secretmanager.secretAccessor"),
    },
    "dss-explore": {
        ("bucket main", READ), ("topic dead-letters", PUBLISH), CATALOG, TELLS_CATALOGUES,
        ("secret dss-postgresql-password", "roles/secretmanager.secretAccessor"),
    },
}  # fmt: skip

# By role of AWS: what is read, where objects are created, and what may be removed.
CREATE = {"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"}
AWS_READS = {
    "api": {"main", "checkout", "staging"},
    "sync": {"main"},
    "compact": {"main"},
    "index": {"main"},
    "notify": {"main"},
    "explore": {"main"},
    "manifest": {"main"},
    "sweep": {"main"},
    "copy": {"main", "staging", "checkout"},
    "checkout": {"main", "checkout"},
    "administer": {"main", "checkout"},
    "importer": {"main", "staging"},
}
AWS_CREATES = {
    "api": {"main"},
    "sync": {"main"},
    "compact": {"main"},
    "index": {"main"},
    "notify": set(),
    "explore": set(),
    "manifest": set(),
    "sweep": set(),
    "copy": {"main", "checkout"},
    "checkout": {"checkout"},
    "administer": {"main", "checkout"},
    "importer": {"main"},
}
# Of main copies of blobs alone.
AWS_REMOVES = {
    "api": set(),
    "sync": {"main"},
    "compact": {"main"},
    "index": set(),
    "notify": set(),
    "explore": set(),
    "manifest": set(),
    "sweep": set(),
    "copy": {"main", "checkout"},
    "checkout": {"checkout"},
    "administer": {"main", "checkout"},
    "importer": {"main"},
}
# Only what operators start removes more than copies of blobs: for good, and with earlier versions.
AWS_FOLDERS = {"administer": "", "compact": SAVED_SUBSCRIPTIONS}
# Where unfinished uploads are found, and aborted.
AWS_ABORTS = {"administer": {"main", "checkout"}, "sweep": {"main", "checkout"}}
AWS_CHECKS_OUT = {"copy", "checkout"}
# What the API sees of buckets of others: that they are there, and the proofs of their owners.
AWS_PROOFS = {("s3:ListBucket", "arn:aws:s3:::*"), ("s3:GetObject", f"arn:aws:s3:::*/{PROOF_KEY}")}


def has_catalogues(deployment: Deployment) -> bool:
    return "explore" in deployment.functions


def users_of_s3(deployment: Deployment) -> set[str]:
    """Return the components that have a role in AWS."""
    return set(AWS_READS) - (set() if has_catalogues(deployment) else {"explore", "manifest"})


def grants(deployment: Deployment, member: str) -> set[tuple[str, str]]:
    found = set()
    for address, resource in deployment.resources.items():
        row = resource["values"]
        if row.get("member") == member and ".invoker[" not in address and "role" in row:
            found.add((place(deployment, resource["type"], row), row["role"]))
    return found


def place(deployment: Deployment, kind: str, row: dict[str, Any]) -> str:
    by_name = {account["name"]: account["account_id"] for account in accounts(deployment)}
    secrets = deployment.of_type("google_secret_manager_secret").values()
    by_id = {secret["id"]: secret["secret_id"] for secret in secrets}
    match kind:
        case "google_storage_bucket_iam_member":
            return f"bucket {row['bucket'].rsplit('-', 1)[1]}"
        case "google_pubsub_topic_iam_member":
            return f"topic {row['topic']}"
        case "google_pubsub_subscription_iam_member":
            return f"subscription {row['subscription']}"
        case "google_secret_manager_secret_iam_member":
            return f"secret {by_id[row['secret_id']]}"
        case "google_service_account_iam_member":
            return f"account {by_name[row['service_account_id']]}"
        case "google_project_iam_member":
            return "project"
    raise AssertionError(f"a grant of another kind: {kind}")


def accounts(deployment: Deployment) -> list[dict[str, Any]]:
    return list(deployment.of_type("google_service_account").values())


def test_each_account_may_do_what_its_work_needs_and_no_more(deployment: Deployment) -> None:
    more = OF_CATALOGUES if has_catalogues(deployment) else {}
    assert {
        account["account_id"]: grants(deployment, account["member"]) for account in accounts(deployment)
    } == {
        name: GRANTS.get(name, set()) | more.get(name, set()) | (set() if name in WITHOUT_SPANS else {TRACES})
        for name in {**GRANTS, **more}
    }


def test_grants_on_the_project_are_bound_to_a_place_where_google_knows_one(deployment: Deployment) -> None:
    rows = deployment.of_type("google_project_iam_member").values()
    name = deployment.one("google_firestore_database.catalog")["name"]
    database = f'resource.name == "projects/a-project/databases/{name}"'
    bound = {(row["role"], row["condition"][0]["expression"]) for row in rows if row["condition"]}

    view = "projects/a-project/locations/us-east1/buckets/dss-audit/views/_AllLogs"
    of_operators = {
        ("roles/datastore.viewer", database),
        ("roles/logging.viewAccessor", f'resource.name == "{view}"'),
    }

    # Operators, where there are any, read how far their runs have come, and who read and wrote what.
    assert bound - of_operators == {
        ("roles/datastore.user", database),
    }
    # Cloud Workflows, Cloud Logging and Cloud Trace know no smaller place.
    repairing = {role for _, role in grants(deployment, REPAIRING) if role in OF_REPAIRS}
    assert {row["role"] for row in rows if not row["condition"]} - repairing == {
        "roles/cloudtrace.agent",
        "roles/workflows.invoker",
        "roles/logging.logWriter",
    }


def test_only_the_function_that_checks_signatures_is_open_to_all(deployment: Deployment) -> None:
    public = {
        address
        for address, row in deployment.resources.items()
        if row["values"].get("member") in ("allUsers", "allAuthenticatedUsers")
    }

    assert public == {'google_cloud_run_v2_service_iam_member.invoker["s3_events"]'}


def test_operators_start_workflows_and_put_lists_and_change_nothing_themselves(
    deployments: dict[str, Deployment],
) -> None:
    assert grants(deployments["most"], "group:operators@example.org") == {
        STARTS_WORKFLOWS, ("project", "roles/datastore.viewer"),
        # Each of their commands leaves a line in the audit log, which they read.
        LOGS, ("project", "roles/logging.viewAccessor"),
        ("bucket reports", READ), ("bucket reports", "roles/storage.objectCreator"),
    }  # fmt: skip


def test_who_repairs_may_do_what_the_guide_says_that_commands_need(
    deployments: dict[str, Deployment],
) -> None:
    found = grants(deployments["most"], REPAIRING)
    held = {role for _, role in found}
    guide = (ROOT / "docs" / "operations.md").read_text()
    table = guide.split("| command | needs in Google Cloud | needs in AWS |")[1].split("\n\n")[0]
    rows = [row.split("|")[1:4] for row in table.splitlines()[2:]]
    needed = {role for _, google, _ in rows for role in re.findall(r"`(roles/[\w.]+)`", google)}

    assert len(rows) > 20 and needed - held <= set(COVERED)
    assert {COVERED[role] for role in needed - held} <= held
    # Nothing that no command needs, beside what operators have.
    others = {role for _, role in grants(deployments["most"], "group:operators@example.org")}
    assert held - others <= needed | {PAUSES}
    assert others <= held
    for topic in deployments["most"].of_type("google_pubsub_topic").values():
        assert (f"topic {topic['name']}", PUBLISH) in found
    for queue in deployments["most"].of_type("google_pubsub_subscription").values():
        assert (f"subscription {queue['name']}", "roles/pubsub.subscriber") in found
    for purpose in ("main", "checkout", "reports"):
        assert (f"bucket {purpose}", WRITE) in found


def test_who_pauses_the_system_can_do_that_and_no_more(bootstrap: dict[str, Deployment]) -> None:
    role = bootstrap["least"].one("google_project_iam_custom_role.pauses")
    guide = (ROOT / "docs" / "operations.md").read_text()
    [row] = [line for line in guide.splitlines() if line.startswith("| `stop`, `start` |")]

    assert f"projects/a-project/roles/{role['role_id']}" == PAUSES
    assert {name.rpartition(".")[2] for name in role["permissions"]} == {
        "enable", "get", "list", "pause", "update",
    }  # fmt: skip
    assert {name.rpartition(".")[0] for name in role["permissions"]} == {
        "cloudscheduler.jobs", "pubsub.subscriptions",
    }  # fmt: skip
    assert f"`{role['role_id']}`" in row


def test_the_owner_of_the_signing_key_can_only_read(deployment: Deployment) -> None:
    signer = deployment.one("google_service_account.signer")

    assert {role for _, role in grants(deployment, signer["member"])} == {READ}
    assert not deployment.of_type("google_service_account_key")


@pytest.fixture(params=sorted(AWS_READS))
def component(request: pytest.FixtureRequest, deployment: Deployment) -> str:
    """Each component that uses S3; `api` in place of one that this deployment does not have."""
    return request.param if request.param in users_of_s3(deployment) else "api"


def test_the_components_that_use_s3_have_an_aws_role_and_its_arn(deployment: Deployment) -> None:
    roles = deployment.by_key("module.aws.aws_iam_role.dss")
    services = {"api": deployment.api, **deployment.functions}
    environments = {name: row.environment for name, row in services.items()}

    users = users_of_s3(deployment)
    assert set(roles) == users
    assert {name: row["DSS_AWS_ROLE_ARN"] for name, row in environments.items() if name in users} == {
        name: row["arn"] for name, row in roles.items()
    }
    for name in set(environments) - users:
        assert "DSS_AWS_ROLE_ARN" not in environments[name]


def test_only_its_own_google_account_assumes_an_aws_role(component: str, deployment: Deployment) -> None:
    account = (
        deployment.one("google_service_account.api")
        if component == "api"
        else deployment.by_key("google_service_account.function")[component]
    )
    [statement] = deployment.by_key("module.aws.data.aws_iam_policy_document.trust")[component]["statement"]
    [api] = deployment.one("google_cloud_run_v2_service.api")["template"][0]["containers"]
    [audience] = [row["value"] for row in api["env"] if row["name"] == "DSS_AWS_ROLE_AUDIENCE"]

    assert statement["actions"] == ["sts:AssumeRoleWithWebIdentity"]
    assert statement["principals"] == [{"type": "Federated", "identifiers": ["accounts.google.com"]}]
    assert {row["variable"]: set(row["values"]) for row in statement["condition"]} == {
        "accounts.google.com:sub": {account["unique_id"]},
        "accounts.google.com:aud": {account["unique_id"], account["email"]},
        "accounts.google.com:oaud": {audience},
    }
    # Presigned URLs die with the session; shared/stores/s3/session.py asks for as long.
    role = deployment.by_key("module.aws.aws_iam_role.dss")[component]
    assert role["max_session_duration"] == 12 * 60 * 60


def test_an_aws_role_creates_and_removes_only_where_its_work_is(
    component: str, deployment: Deployment
) -> None:
    documents = deployment.by_key("module.aws.data.aws_iam_policy_document.objects")
    statements = {row["sid"]: row for row in documents[component]["statement"]}
    arns = {purpose: row["arn"] for purpose, row in deployment.by_key("module.aws.aws_s3_bucket.dss").items()}
    sources = [statements.pop(sid) for sid in ("ListSources", "ReadSources") if sid in statements]
    proofs = [statements.pop(sid) for sid in ("FindDestinations", "ReadProofs") if sid in statements]
    removing = statements.pop("RemoveWrongCopies", None)
    elsewhere = statements.pop("CheckOutToOthers", None)
    tagging = statements.pop("TagCheckouts", None)
    erasing = [statements.pop(sid, {}) for sid in ("FindVersions", "EraseVersions")]

    creating = statements.pop("Create", None)
    aborting = {sid: statements.pop(sid, {}) for sid in ("FindUploads", "AbortUploads")}
    assert set(statements) == {"List", "Read"}
    assert set(statements["List"]["actions"]) == {"s3:ListBucket"}
    assert set(statements["List"]["resources"]) == {arns[purpose] for purpose in AWS_READS[component]}
    assert set(statements["Read"]["actions"]) == {"s3:GetObject", "s3:GetObjectTagging"}
    assert set(statements["Read"]["resources"]) == {f"{arns[purpose]}/*" for purpose in AWS_READS[component]}
    assert bool(creating) == bool(AWS_CREATES[component])
    if creating:
        assert set(creating["actions"]) == CREATE
        assert set(creating["resources"]) == {f"{arns[where]}/*" for where in AWS_CREATES[component]}
    aborts = AWS_ABORTS.get(component, set())
    assert set(aborting["FindUploads"].get("resources", [])) == {arns[where] for where in aborts}
    assert set(aborting["AbortUploads"].get("resources", [])) == {f"{arns[where]}/*" for where in aborts}
    if aborts:
        assert aborting["FindUploads"]["actions"] == ["s3:ListBucketMultipartUploads"]
        assert aborting["AbortUploads"]["actions"] == ["s3:AbortMultipartUpload"]
    assert bool(removing) == bool(AWS_REMOVES[component])
    if removing:
        assert removing["actions"] == ["s3:DeleteObject"]
        folder = AWS_FOLDERS.get(component, "blobs/")
        folders = {"main": f"{arns['main']}/{folder}*", "checkout": f"{arns['checkout']}/*"}
        assert set(removing["resources"]) == {folders[where] for where in AWS_REMOVES[component]}
    assert [(row["actions"], row["resources"]) for row in erasing if row] == (
        [
            (["s3:ListBucketVersions"], [arns["main"]]),
            (["s3:DeleteObjectVersion"], [f"{arns['main']}/*"]),
        ]
        if component == "administer"
        else []
    )
    assert bool(elsewhere) == (component in AWS_CHECKS_OUT)
    assert bool(tagging) == ("checkout" in AWS_CREATES[component])
    if elsewhere:
        # In buckets of this account the right would need nobody's consent.
        [condition] = elsewhere["condition"]
        assert (condition["test"], condition["variable"]) == ("StringNotEquals", "aws:ResourceAccount")
        assert "s3:DeleteObject" not in elsewhere["actions"]
    for row in sources:
        assert set(row["actions"]) <= {"s3:GetObject", "s3:GetObjectTagging", "s3:ListBucket"}
    assert {(*row["actions"], *row["resources"]) for row in proofs} == (
        AWS_PROOFS if component == "api" else set()
    )
    for row in proofs:
        [condition] = row["condition"]
        assert (condition["test"], condition["variable"]) == ("StringNotEquals", "aws:ResourceAccount")


def test_components_that_copy_from_sources_read_what_is_named_as_such(
    deployments: dict[str, Deployment],
) -> None:
    documents = deployments["most"].by_key("module.aws.data.aws_iam_policy_document.objects")
    resources = {
        (name, statement["sid"]): set(statement["resources"])
        for name, row in documents.items()
        for statement in row["statement"]
        if statement["sid"].endswith("Sources")
    }
    reading = {name for name, _ in resources}
    for name in reading:
        assert resources[name, "ListSources"] == {"arn:aws:s3:::a-lab", "arn:aws:s3:::b-lab-*"}
        assert resources[name, "ReadSources"] == {"arn:aws:s3:::a-lab/*", "arn:aws:s3:::b-lab-*/in/*"}

    assert reading == {"api", "copy", "importer"}
    roles = deployments["most"].by_key("module.aws.aws_iam_role.dss")
    assert set(deployments["most"].outputs["aws_source_reader_role_arns"]) == {
        roles[name]["arn"] for name in reading
    }


def test_operators_who_repair_have_the_rights_of_runs_in_s3_if_somebody_is_one(
    deployments: dict[str, Deployment],
) -> None:
    most = deployments["most"]
    role = most.one("module.aws.aws_iam_role.repair[0]")
    [statement] = most.one("module.aws.data.aws_iam_policy_document.trust_operators[0]")["statement"]
    [principals] = statement["principals"]
    policies = most.by_key("module.aws.aws_iam_role_policy.objects")

    assert (statement["actions"], principals["type"]) == (["sts:AssumeRole"], "AWS")
    assert principals["identifiers"] == ["arn:aws:iam::111122223333:role/on-call"]
    assert role["max_session_duration"] == 12 * 60 * 60
    assert most.one("module.aws.aws_iam_role_policy.repair[0]")["policy"] == policies["administer"]["policy"]
    assert not [name for name in deployments["least"].of_type("aws_iam_role") if "repair" in name]


def test_the_accounts_that_check_out_to_users_buckets_are_outputs(deployment: Deployment) -> None:
    accounts = deployment.by_key("google_service_account.function")
    roles = deployment.by_key("module.aws.aws_iam_role.dss")

    assert set(deployment.outputs["checkout_writers"]) == {accounts[name]["email"] for name in AWS_CHECKS_OUT}
    assert set(deployment.outputs["aws_checkout_writer_role_arns"]) == {
        roles[name]["arn"] for name in AWS_CHECKS_OUT
    }


def test_the_account_that_reads_the_proofs_of_owners_is_an_output(deployment: Deployment) -> None:
    api = deployment.one("google_service_account.api")
    role = deployment.by_key("module.aws.aws_iam_role.dss")["api"]

    assert deployment.outputs["checkout_decider"] == api["email"]
    assert deployment.outputs["aws_checkout_decider_role_arn"] == role["arn"]


def test_the_password_of_the_mail_server_is_a_secret(deployments: dict[str, Deployment]) -> None:
    for name, version in (("least", None), ("most", "3")):
        functions = deployments[name].functions
        secrets = {
            function: [row for row in service.secrets if row[0] == "DSS_SMTP_PASSWORD"]
            for function, service in functions.items()
        }
        given = [("DSS_SMTP_PASSWORD", "dss-smtp-password", version)] if version else []
        assert secrets == {
            function: given if function in ("checkout", "sweep") else [] for function in functions
        }


def test_nobody_overwrites_a_manifest_in_s3(deployment: Deployment) -> None:
    documents = deployment.by_key("module.aws.data.aws_iam_policy_document.bucket")
    denying = {
        purpose: [row for row in document["statement"] if row["sid"] == "OnlyNewManifests"]
        for purpose, document in documents.items()
    }
    [statement] = denying.pop("main")
    arn = deployment.one('module.aws.aws_s3_bucket.dss["main"]')["arn"]

    assert not any(denying.values())
    assert (statement["effect"], statement["actions"]) == ("Deny", ["s3:PutObject"])
    assert statement["principals"] == [{"type": "*", "identifiers": ["*"]}]
    # Blobs are copied, and S3's CopyObject would be refused.
    assert set(statement["resources"]) == {f"{arn}/{kind}/*" for kind in Kind}
    assert {(row["test"], row["variable"], *row["values"]) for row in statement["condition"]} == {
        ("Null", "s3:if-none-match", "true"),
        ("Bool", "s3:ObjectCreationOperation", "true"),
    }
