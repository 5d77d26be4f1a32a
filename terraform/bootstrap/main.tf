# What a person makes once in a Google Cloud project and an AWS account, with rights of their own (docs/deploy.md):
# where the state and the images are, and who deploys. All that is deployed after that, builds deploy.
locals {
  labels        = { system = "dss" }
  bucket_prefix = coalesce(var.bucket_prefix, "${var.project_id}-dss")

  # What must be on before Terraform can switch on the others, and what `dss deploy check` asks.
  services = [
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "cloudbilling.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudquotas.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "containeranalysis.googleapis.com", # Keeps the provenance of images.
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "orgpolicy.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    "workflows.googleapis.com",
  ]

  # Google's own accounts in the project, to which deployments grant rights; else they come with the first use.
  agents = ["cloudscheduler.googleapis.com", "pubsub.googleapis.com", "workflows.googleapis.com"]

  deploy_roles = concat([
    "cloudscheduler.admin",
    "datastore.owner",
    "iam.serviceAccountAdmin",
    "iam.serviceAccountUser",
    "logging.configWriter",
    "logging.logWriter",
    "monitoring.alertPolicyEditor",
    "monitoring.dashboardEditor",
    "monitoring.notificationChannelEditor",
    "monitoring.servicesEditor",
    "monitoring.uptimeCheckConfigEditor",
    "pubsub.admin",
    "run.admin",
    "secretmanager.admin",
    "serviceusage.serviceUsageAdmin",
    "storage.admin",
    "workflows.admin",
    ],
    contains(var.options, "postgresql") ? ["cloudsql.admin", "servicenetworking.networksAdmin"] : [],
    contains(var.options, "load_balancer") ? ["compute.securityAdmin"] : [],
    length(var.options) > 0 ? ["compute.networkAdmin"] : [],
  )

  # All that deployments grant on the project. The account that deploys can grant these, and no others: neither
  # itself nor another account becomes an owner, an editor, or an administrator of anything.
  granted_roles = [
    "roles/cloudtrace.agent",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/logging.logWriter",
    "roles/logging.viewAccessor",
    "roles/pubsub.viewer",
    "roles/run.viewer",
    "roles/workflows.invoker",
    "projects/${var.project_id}/roles/${google_project_iam_custom_role.pauses.role_id}",
  ]
}

resource "google_project_service" "enabled" {
  for_each = toset(local.services)

  service            = each.key
  disable_on_destroy = false
}

resource "google_project_service_identity" "agent" {
  provider = google-beta
  for_each = toset(local.agents)

  service = each.key

  depends_on = [google_project_service.enabled]
}

# Who may run code as the default accounts of a project would be its editor.
resource "google_project_default_service_accounts" "none" {
  project = var.project_id
  action  = "DEPRIVILEGE"

  depends_on = [google_project_service.enabled]
}

# Anyone who can write to it can deploy.
resource "google_storage_bucket" "state" {
  name     = "${var.project_id}-terraform"
  location = upper(var.region)
  labels   = local.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  versioning {
    enabled = true
  }

  # Old states, and plans (plans/), which hold what the state does.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions         = 50
      days_since_noncurrent_time = 90
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["plans/"]
    }
  }

  depends_on = [google_project_service.enabled]
}

# What deployments have to know of this; builds read it beside the deployment's own variables.
resource "google_storage_bucket_object" "variables" {
  bucket       = google_storage_bucket.state.name
  name         = "bootstrap.auto.tfvars.json"
  content_type = "application/json"
  content      = jsonencode({ aws_permissions_boundary_arn = aws_iam_policy.boundary.arn })
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "dss"
  location      = var.region
  format        = "DOCKER"
  description   = "Container images of the DSS."
  labels        = local.labels

  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "${30 * 24 * 60 * 60}s"
    }
  }

  depends_on = [google_project_service.enabled]
}

resource "google_service_account" "deploy" {
  account_id   = "dss-deploy"
  display_name = "DSS: deploys"

  depends_on = [google_project_service.enabled]
}

resource "google_project_iam_member" "deploy" {
  for_each = toset(local.deploy_roles)

  project = var.project_id
  role    = "roles/${each.key}"
  member  = google_service_account.deploy.member
}

# Builds push images; to read them is enough to deploy them.
resource "google_artifact_registry_repository_iam_member" "deploy" {
  repository = google_artifact_registry_repository.images.name
  location   = google_artifact_registry_repository.images.location
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.deploy.member
}

# https://cloud.google.com/iam/docs/setting-limits-on-granting-roles
resource "google_project_iam_member" "grants" {
  project = var.project_id
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deploy.member

  condition {
    title      = "roles of the DSS only"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(${replace(jsonencode(local.granted_roles), "\"", "'")})"
  }
}

# `dss admin stop` and `start`, for `repair_operators` of deployments. It is made here because who can change a role
# that it also grants can give itself anything.
resource "google_project_iam_custom_role" "pauses" {
  role_id     = "dssPauses"
  title       = "DSS: pauses and resumes"
  description = "Stops and starts pushes of Pub/Sub and jobs of Cloud Scheduler."
  permissions = [
    "cloudscheduler.jobs.enable",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.list",
    "cloudscheduler.jobs.pause",
    "pubsub.subscriptions.get",
    "pubsub.subscriptions.list",
    "pubsub.subscriptions.update",
  ]

  depends_on = [google_project_service.enabled]
}

# So that a build can ask for the token with which it assumes the AWS role.
resource "google_service_account_iam_member" "deploy_mints_its_tokens" {
  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.deploy.member
}

# Each commit is checked, built and planned. A person applies a plan (cloudbuild-apply.yaml).
resource "google_cloudbuild_trigger" "plan" {
  for_each = toset(var.repository == null ? [] : ["plan"])

  name            = "dss-plan"
  description     = "Checks and builds each commit, and plans its deployment."
  location        = var.region
  service_account = google_service_account.deploy.id
  filename        = "cloudbuild.yaml"

  repository_event_config {
    repository = var.repository
    push {
      branch = var.branch
    }
  }

  substitutions = {
    _REGION       = var.region
    _STATE_BUCKET = google_storage_bucket.state.name
    _AWS_ROLE_ARN = aws_iam_role.deploy.arn
    _COMMIT       = "$SHORT_SHA"
  }
}

data "google_project" "this" {
  project_id = var.project_id
}

# Tells the administrators of a billing account what the project costs, and ends nothing. It is here because who
# deploys has no say in billing.
resource "google_billing_budget" "project" {
  for_each = toset(var.billing_account == null ? [] : ["project"])

  billing_account = var.billing_account
  display_name    = "DSS in ${var.project_id}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
      spend_basis       = "CURRENT_SPEND"
    }
  }

  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  depends_on = [google_project_service.enabled]
}
