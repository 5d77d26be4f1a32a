"""`terraform/` is formatted and valid by the providers' schemas, and errors in it are found."""

import re
import subprocess
from typing import Any

from tests.support.google_schema import BETA, ROOT, used_types
from tests.support.terraform_cli import Workspace, terraform


def test_terraform_is_formatted() -> None:
    done = subprocess.run(
        [terraform(), "fmt", "-check", "-diff", "-recursive", ROOT / "terraform"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_terraform_is_valid(workspace: Workspace) -> None:
    assert workspace.validate() == []


BROKEN = """
resource "google_storage_bucket" "unknown_argument" {
  name     = "n"
  location = "EU"
  colour   = "red"
}
resource "google_storage_bucket" "missing_argument" {
  name = "n"
}
resource "google_storage_bucket" "unknown_block" {
  name     = "n"
  location = "EU"
  lifecycle_rules {}
}
resource "google_storage_bucket" "wrong_nesting" {
  name     = "n"
  location = "EU"
  lifecycle_rule {
    age = 3
    action {
      type = "Delete"
    }
    condition {}
  }
}
resource "google_storage_bucket" "wrong_type" {
  name                        = "n"
  location                    = "EU"
  uniform_bucket_level_access = "perhaps"
}
resource "google_storage_bucket" "wrong_reference" {
  name     = google_service_account.api.nickname
  location = google_service_account.nobody.email
}
resource "google_secret_manager_secret" "missing_block" {
  secret_id = "s"
}
resource "google_secret_manager_secret" "a_block_too_many" {
  secret_id = "s"
  replication {}
  replication {}
}
resource "google_pubsub_subscription" "missing_argument" {
  name  = "n"
  topic = "t"
  push_config {
    push_endpoint = "https://function.example"
    oidc_token {
      audience = "https://function.example"
    }
  }
}
resource "google_cloud_run_v2_service" "wrong_scaling" {
  name     = "n"
  location = "l"
  template {
    scaling {
      max_instances = 3
    }
  }
}
resource "google_storage_buckets" "unknown_resource" {}
resource "aws_s3_bucket" "unknown_argument" {
  colour = "red"
}
"""


def test_every_violation_of_a_schema_is_found(another_workspace: Workspace) -> None:
    (another_workspace.directory / "broken.tf").write_text(BROKEN)

    found = "\n".join(another_workspace.validate())

    for expected in (
        'An argument named "colour" is not expected here.',
        'The argument "location" is required, but no definition was found.',
        'Blocks of type "lifecycle_rules" are not expected here.',
        'An argument named "age" is not expected here.',
        'Inappropriate value for attribute "uniform_bucket_level_access": a bool is required.',
        'This object has no argument, nested block, or exported attribute named "nickname".',
        'A managed resource "google_service_account" "nobody" has not been declared in the root module.',
        'At least 1 "replication" blocks are required.',
        'No more than 1 "replication" blocks are allowed',
        'The argument "service_account_email" is required, but no definition was found.',
        'An argument named "max_instances" is not expected here.',
        'The provider hashicorp/google does not support resource type "google_storage_buckets".',
    ):
        assert expected in found
    assert found.count('An argument named "colour" is not expected here.') == 2, (
        "one of google's, one of aws's"
    )


def test_what_terraform_uses_is_in_the_schema_of_the_version_it_pins(google_schema: dict[str, Any]) -> None:
    used = used_types(ROOT / "terraform")

    assert set(google_schema["resources"]) == used["resource"] - BETA, "run tests/support/google_schema.py"
    assert set(google_schema["data_sources"]) == used["data"], "run tests/support/google_schema.py"
    assert f'version = "{google_schema["provider_version"]}"' in (ROOT / "terraform/versions.tf").read_text()


def test_every_variable_and_output_says_what_it_is(workspace: Workspace) -> None:
    declared = "\n".join(path.read_text() for path in workspace.directory.rglob("*.tf"))

    for block in declared.split("\nvariable ")[1:]:
        body = block.split("\n}")[0]
        assert re.search(r"^  type +=", body, re.MULTILINE) and "  description = " in body, body
    for block in declared.split("\noutput ")[1:]:
        assert "  description = " in block.split("\n}")[0], block
