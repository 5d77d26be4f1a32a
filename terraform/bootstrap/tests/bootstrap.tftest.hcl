# What the account that deploys must never be able to do: `terraform test`, which needs no account.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

mock_provider "google-beta" {}

mock_provider "aws" {
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/dss-boundary" }
  }
}

variables {
  project_id = "a-project"
}

run "who_deploys" {
  assert {
    condition = alltrue([
      for grant in google_project_iam_member.deploy : !contains(["roles/owner", "roles/editor"], grant.role)
    ])
    error_message = "The account that deploys is no owner and no editor."
  }

  assert {
    condition     = length(google_project_iam_member.grants.condition) == 1
    error_message = "It grants no roles but those that are listed."
  }

  assert {
    condition = alltrue([
      for role in local.granted_roles : !can(regex("(?i)admin|owner|editor", role))
    ])
    error_message = "None of these makes an administrator."
  }

  assert {
    condition = alltrue([
      for statement in local.deploy_policy.Statement :
      try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") != ""
      if statement.Effect == "Allow" && contains(statement.Action, "iam:CreateRole")
    ])
    error_message = "In AWS it makes roles with the permissions boundary only."
  }

  assert {
    condition     = google_storage_bucket.state.versioning[0].enabled && !google_storage_bucket.state.force_destroy
    error_message = "An earlier state is kept."
  }
}

run "a_repository_of_another_form" {
  command = plan

  variables {
    repository = "github.com/somebody/dss"
  }

  expect_failures = [var.repository]
}
