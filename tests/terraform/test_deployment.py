"""What `terraform/` would deploy, with the fewest and with all variables set."""

from collections.abc import Mapping
from typing import Any

import pytest
from google.cloud.storage import Client

from local.probes import GCS_CORS, S3_CORS
from shared.access import BucketPolicy, Principal
from shared.config import Settings
from shared.identifiers import CATALOGUE_MANIFESTS
from shared.issuer_settings import IssuerSetting
from shared.stores.gcs import GoogleCloudStorage
from shared.stores.gcs.signing import HmacSigner
from shared.stores.s3.temporary import TAG
from tests.support.terraform_cli import Deployment, Workspace


def container(deployment: Deployment) -> dict[str, Any]:
    service = deployment.one("google_cloud_run_v2_service.api")
    found: dict[str, Any] = service["template"][0]["containers"][0]
    return found


def environment(deployment: Deployment) -> dict[str, str]:
    return {row["name"]: row["value"] for row in container(deployment)["env"]}


def test_the_api_reads_the_settings_that_it_is_given(deployment: Deployment) -> None:
    given = {name: value for name, value in environment(deployment).items() if value is not None}

    settings = Settings.from_environment(given)

    assert settings.project == "a-project"
    assert settings.gs_bucket == deployment.outputs["gcs_buckets"]["main"]
    assert settings.s3_checkout_bucket == deployment.outputs["s3_buckets"]["checkout"]
    assert settings.oidc_audience == ("https://dss.example",)
    assert settings.public_url == deployment.outputs["api_url"]


def test_lists_reach_the_code_as_lists(deployments: dict[str, Deployment]) -> None:
    given = environment(deployments["most"])

    settings = Settings.from_environment({name: value for name, value in given.items() if value is not None})

    assert settings.admin_user_emails == ("ada@example.org", "bob@example.org")
    assert settings.trusted_projects == ("another-project",)


def test_the_api_knows_where_sources_are_and_who_checks_out_where(deployments: dict[str, Deployment]) -> None:
    ada = Principal(email="ada@example.org", groups=frozenset(("lab",)))
    bob = Principal(email="bob@example.org", groups=frozenset(("dss",)))

    for name, deployment in deployments.items():
        given = {name: value for name, value in environment(deployment).items() if value is not None}
        policy = BucketPolicy.of(Settings.from_environment(given))
        outputs = deployment.outputs

        for scheme, buckets in (("gs", outputs["gcs_buckets"]), ("s3", outputs["s3_buckets"])):
            for purpose, bucket in buckets.items():
                is_source = policy.source(bob, f"{scheme}://{bucket}/key").is_allowed
                assert is_source == (purpose == "staging"), (scheme, purpose)
        assert policy.source(ada, "s3://a-lab/key").is_allowed == (name == "most")
        assert not policy.source(bob, "s3://a-lab/key").is_allowed
        assert policy.source(bob, "s3://b-lab-1/in/key").is_allowed == (name == "most")
        assert policy.lists(ada, "gs://a-lab-1") == (name == "most")


def test_sign_in_reaches_the_code_as_it_is_configured(deployments: dict[str, Deployment]) -> None:
    least, most = (
        Settings.from_environment(
            {name: value for name, value in environment(deployments[name]).items() if value is not None}
        )
        for name in ("least", "most")
    )

    assert (least.oidc_issuers, least.token_info_url, least.token_info_clients, least.secured) == (
        (),
        "",
        (),
        (),
    )
    google, other = most.oidc_issuers
    assert google == IssuerSetting(
        issuer="https://accounts.google.com", audiences=("an-app",), group_claims=("hd",)
    )
    assert (other.name, other.email_claims, other.email_domains) == (
        "https://b.example",
        ("email",),
        ("b.example",),
    )
    assert most.token_info_url == "https://oauth2.googleapis.com/tokeninfo"
    assert most.token_info_clients == ("an-app", "another-app")
    assert most.secured == ("files.get", "bundles.get")


def test_the_signing_key_is_mounted_where_the_code_looks_for_it(deployments: dict[str, Deployment]) -> None:
    template = deployments["most"].one("google_cloud_run_v2_service.api")["template"][0]
    [volume, _], [mount, _] = template["volumes"], template["containers"][0]["volume_mounts"]
    [item] = volume["secret"][0]["items"]

    assert mount["name"] == volume["name"]
    assert (
        environment(deployments["most"])["DSS_GS_SIGNING_KEY_FILE"] == f"{mount['mount_path']}/{item['path']}"
    )
    assert (volume["secret"][0]["secret"], item["version"]) == ("dss-signing-key", "1")


def test_the_key_of_subscriptions_is_mounted_where_the_code_looks_for_it(
    deployments: dict[str, Deployment],
) -> None:
    file = "/secrets/subscription-key/keys"
    template = deployments["most"].one("google_cloud_run_v2_service.api")["template"][0]
    [_, volume], [_, mount] = template["volumes"], template["containers"][0]["volume_mounts"]
    [item] = volume["secret"][0]["items"]
    assert (
        environment(deployments["most"])["DSS_SECRETS_KEY_FILE"]
        == f"{mount['mount_path']}/{item['path']}"
        == file
    )
    assert (volume["secret"][0]["secret"], item["version"]) == ("dss-subscription-key", "4")

    for name, version in (("least", None), ("most", "4")):
        for function, row in deployments[name].functions.items():
            signs = version is not None and function in (*("administer", "compact", "deliver", "redeliver"),)
            assert row.given.get("DSS_SECRETS_KEY_FILE") == (file if signs else None)
            assert row.secret_files == ([("dss-subscription-key", file, version)] if signs else [])


def test_without_a_signing_key_nothing_is_mounted(deployments: dict[str, Deployment]) -> None:
    template = deployments["least"].one("google_cloud_run_v2_service.api")["template"][0]

    assert template["volumes"] == [] and template["containers"][0]["volume_mounts"] == []
    assert "DSS_GS_SIGNING_KEY_FILE" not in environment(deployments["least"])


def test_no_secret_has_its_value_in_terraform(deployments: dict[str, Deployment]) -> None:
    rows = {row["name"]: row for row in container(deployments["most"])["env"]}

    for name, secret, version in (
        ("DSS_APPLICATION_SECRETS", "dss-application-secrets", "2"),
        ("DSS_SIGN_IN_CLIENTS", "dss-sign-in-clients", "5"),
    ):
        assert rows[name]["value"] is None
        assert rows[name]["value_source"][0]["secret_key_ref"] == [{"secret": secret, "version": version}]
    assert not deployments["most"].of_type("google_secret_manager_secret_version")
    assert not deployments["most"].of_type("google_service_account_key")
    assert not deployments["most"].of_type("aws_iam_access_key")


def test_all_gcs_buckets_have_one_location_and_class(deployment: Deployment) -> None:
    buckets = deployment.by_key("google_storage_bucket.dss")

    assert len(buckets) == 4
    assert len({(row["location"], row["storage_class"]) for row in buckets.values()}) == 1


def test_no_bucket_can_become_public(deployment: Deployment) -> None:
    for bucket in deployment.of_type("google_storage_bucket").values():
        assert bucket["public_access_prevention"] == "enforced" and bucket["uniform_bucket_level_access"]
    blocks = deployment.of_type("aws_s3_bucket_public_access_block").values()
    assert len(blocks) == len(deployment.of_type("aws_s3_bucket")) == 4
    for block in blocks:
        assert block["block_public_acls"] and block["block_public_policy"]
        assert block["ignore_public_acls"] and block["restrict_public_buckets"]


@pytest.mark.parametrize(("name", "staging", "checkout"), [("least", 14, 14), ("most", 3, 5)])
def test_objects_expire_in_staging_and_checkout_and_never_in_main(
    name: str, staging: int, checkout: int, deployments: dict[str, Deployment]
) -> None:
    expected = {"main": [], "staging": [staging], "checkout": [checkout]}
    gcs = deployments[name].by_key("google_storage_bucket.dss")
    s3 = deployments[name].by_key("module.aws.aws_s3_bucket_lifecycle_configuration.dss")

    assert {purpose: _gcs_expiry(row) for purpose, row in gcs.items()} == {**expected, "reports": [400]}
    assert {purpose: _s3_expiry(row) for purpose, row in s3.items()} == expected


def test_only_what_was_used_and_is_not_kept_for_good_expires_in_checkout(deployment: Deployment) -> None:
    [gcs] = _gcs_deletions(deployment.by_key("google_storage_bucket.dss")["checkout"])
    s3 = deployment.by_key("module.aws.aws_s3_bucket_lifecycle_configuration.dss")["checkout"]
    [expiry] = [row for row in s3["rule"] if row["expiration"]]
    [filtered] = expiry["filter"]

    # GCS: the age of an object counts for nothing, and without a custom time it stays.
    assert (gcs["age"], gcs["days_since_custom_time"]) == (None, expiry["expiration"][0]["days"])
    assert [(tag["key"], tag["value"]) for tag in filtered["tag"]] == [TAG]
    for environment in _environments(deployment):
        settings = Settings.from_environment(environment)
        assert 0 < settings.checkout_public_days < settings.checkout_days == gcs["days_since_custom_time"]


def test_pages_may_read_what_signed_urls_lead_to_as_on_one_machine(deployment: Deployment) -> None:
    gcs = deployment.by_key("google_storage_bucket.dss")
    s3 = deployment.by_key("module.aws.aws_s3_bucket_cors_configuration.dss")
    settings = Settings.from_environment({**_environments(deployment)[0], **_api_cors(deployment)})

    assert settings.cors_origins == ("*",)
    assert {purpose for purpose, row in gcs.items() if row["cors"]} == {"main", "checkout"} == set(s3)
    for purpose in s3:
        [of_gcs], [of_s3] = gcs[purpose]["cors"], s3[purpose]["cors_rule"]
        assert {
            "origin": of_gcs["origin"],
            "method": of_gcs["method"],
            "responseHeader": of_gcs["response_header"],
            "maxAgeSeconds": of_gcs["max_age_seconds"],
        } == GCS_CORS
        assert {
            "AllowedOrigin": of_s3["allowed_origins"],
            "AllowedMethod": sorted(of_s3["allowed_methods"]),
            "AllowedHeader": of_s3["allowed_headers"],
            "ExposeHeader": sorted(of_s3["expose_headers"]),
            "MaxAgeSeconds": [str(of_s3["max_age_seconds"])],
        } == S3_CORS


def _api_cors(deployment: Deployment) -> dict[str, str]:
    [api] = deployment.one("google_cloud_run_v2_service.api")["template"][0]["containers"]
    return {row["name"]: row["value"] for row in api["env"] if row["name"] == "DSS_CORS_ORIGINS"}


def _environments(deployment: Deployment) -> list[dict[str, str]]:
    return [row.given for row in deployment.functions.values()]


def _gcs_deletions(bucket: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rules = bucket["lifecycle_rule"]
    deletions = [row["condition"][0] for row in rules if row["action"][0]["type"] == "Delete"]
    return [condition for condition in deletions if not condition["matches_prefix"]]


def _gcs_expiry(bucket: Mapping[str, Any]) -> list[int]:
    return [row["age"] or row["days_since_custom_time"] for row in _gcs_deletions(bucket)]


def _s3_expiry(lifecycle: Mapping[str, Any]) -> list[int]:
    return [row["expiration"][0]["days"] for row in lifecycle["rule"] if row["expiration"]]


def test_parts_of_uploads_and_manifests_are_cleared_from_gcs_after_a_week(deployment: Deployment) -> None:
    store = GoogleCloudStorage(Client.create_anonymous_client(), HmacSigner("nobody", "nothing"))
    upload = store.begin_upload("bucket", "key", size=1, content_type="text/plain")

    rules = deployment.one('google_storage_bucket.dss["main"]')["lifecycle_rule"]
    deletions = [row["condition"][0] for row in rules if row["action"][0]["type"] == "Delete"]

    assert {deletion["age"] for deletion in deletions} == {7}
    manifests, uploads = sorted(prefix for deletion in deletions for prefix in deletion["matches_prefix"])
    assert upload.id.startswith(uploads)
    assert manifests == CATALOGUE_MANIFESTS


def test_unfinished_uploads_are_aborted_in_every_bucket(deployment: Deployment) -> None:
    for bucket in deployment.by_key("google_storage_bucket.dss").values():
        assert [
            row["condition"][0]["age"]
            for row in bucket["lifecycle_rule"]
            if row["action"][0]["type"] == "AbortIncompleteMultipartUpload"
        ] == [7]
    for lifecycle in deployment.of_type("aws_s3_bucket_lifecycle_configuration").values():
        [days] = [
            row["abort_incomplete_multipart_upload"] for row in lifecycle["rule"] if not row["expiration"]
        ]
        assert days == [{"days_after_initiation": 7}]


def test_s3_encrypts_so_that_an_etag_is_an_md5(deployment: Deployment) -> None:
    for row in deployment.of_type("aws_s3_bucket_server_side_encryption_configuration").values():
        [default] = row["rule"][0]["apply_server_side_encryption_by_default"]
        assert default["sse_algorithm"] == "AES256"


def test_bad_variables_are_refused(workspace: Workspace) -> None:
    bad = {
        "project_id": "A Project",
        "image": "an-image-of-no-version",
        "oidc_issuer": "http://issuer.example",
        "oidc_audiences": [],
        "oidc_issuers": [{"issuer": "http://b.example", "audiences": ["b"]}],
        "token_info_url": "http://b.example",
        "public_url": "https://dss.example/",
        "staging_ttl_days": 0.5,
        "main_soft_delete_days": 3,
        "signing_key_version": "newest",
        "bucket_prefix": "Upper",
        "replication_alert_seconds": 600,
        "event_alert_seconds": 600,
        "sync_max_instances": 0,
        "trace_percent": 101,
        "sources": [{"url": "gs://a-lab", "groups": []}],
        "destinations": [{"url": "gs://a-lab/in/", "groups": ["lab"]}],
    }

    refused = "\n".join(workspace.refusals(bad))

    for reason in (
        "A project id is 6 to 30 lower-case letters",
        "An image with its tag or digest.",
        "Begins with https://.",
        "At least one; without it every token is refused.",
        "Each issuer begins with https://, and has an audience or more.",
        "Empty, or begins with https://.",
        "https:// and a host.",
        "A whole number of days, 1 or more.",
        "0, or 7 to 90.",
        "A number, or latest.",
        "3 to 54 lower-case letters, digits and dashes.",
        "More than 600.",
        "URLs as gs://bucket, gs://bucket/prefix/, s3://bucket or https://host/path/, each with a group.",
        "URLs of whole buckets, as gs://bucket, each with a group.",
        "1 or more.",
        "A whole number, from 0 to 100.",
    ):
        assert reason in refused
