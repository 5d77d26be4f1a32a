data "google_project" "this" {
  project_id = var.project_id
}

locals {
  # What all names begin with, in both clouds: two stages can share a project and an account.
  prefix        = join("-", compact(["dss", var.stage]))
  title         = join(" ", compact(["DSS", var.stage]))
  labels        = merge({ system = "dss" }, var.stage == "" ? {} : { stage = var.stage })
  bucket_prefix = coalesce(var.bucket_prefix, "${var.project_id}-${local.prefix}")
  # The code names topics and subscriptions without.
  pubsub_prefix = var.stage == "" ? "" : "${local.prefix}-"

  # Settings (shared/config.py) of all that runs our code.
  shared_environment = merge(local.smtp_environment, {
    GOOGLE_CLOUD_PROJECT     = var.project_id
    DSS_FIRESTORE_DATABASE   = google_firestore_database.catalog.name
    DSS_GS_BUCKET            = google_storage_bucket.dss["main"].name
    DSS_S3_BUCKET            = module.aws.bucket_names["main"]
    DSS_BLOB_TTL_DAYS        = tostring(var.checkout_ttl_days)
    DSS_BLOB_PUBLIC_TTL_DAYS = tostring(coalesce(var.checkout_public_ttl_days, floor(var.checkout_ttl_days / 2)))
    CHECKOUT_CACHE_CRITERIA  = jsonencode(var.checkout_cache_criteria)
    DSS_GS_CHECKOUT_BUCKET   = google_storage_bucket.dss["checkout"].name
    DSS_S3_CHECKOUT_BUCKET   = module.aws.bucket_names["checkout"]
    AWS_DEFAULT_REGION       = var.aws_region
    DSS_AWS_ROLE_AUDIENCE    = local.aws_role_audience
    DSS_WORKFLOWS_LOCATION   = var.region
    DSS_WORKFLOWS_PREFIX     = local.workflows_prefix
    OIDC_ISSUER              = var.oidc_issuer
    OIDC_AUDIENCE            = join(",", var.oidc_audiences)
    DSS_PUBSUB_PREFIX        = local.pubsub_prefix
    DSS_REPORTS_BUCKET       = google_storage_bucket.dss["reports"].name
    DSS_DEFAULT_ACCESS       = var.default_access
    DSS_TRACES               = var.trace_percent > 0 ? "cloud" : "none"
    DSS_TRACE_PERCENT        = tostring(var.trace_percent)
  })

  # Without a host the system sends no mail.
  smtp_environment = var.smtp == null ? {} : {
    DSS_SMTP_HOST   = var.smtp.host
    DSS_SMTP_PORT   = tostring(var.smtp.port)
    DSS_SMTP_TLS    = var.smtp.tls
    DSS_SMTP_USER   = var.smtp.user
    DSS_SMTP_SENDER = var.smtp.sender
    DSS_MAILS_A_DAY = tostring(var.smtp.a_day)
  }
}

resource "google_project_service" "enabled" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtrace.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
    "telemetry.googleapis.com", # Takes spans, for Cloud Trace.
    "workflowexecutions.googleapis.com",
    "workflows.googleapis.com",
  ])

  service = each.key
  # Other things in the project may use the API; switching it off is a person's decision.
  disable_on_destroy = false
}

# Cloud Trace grants on projects only, and knows no conditions. Who has the role writes spans, and reads none.
resource "google_project_iam_member" "traces" {
  for_each = var.trace_percent > 0 ? local.google_accounts : {}

  project = var.project_id
  role    = "roles/cloudtrace.agent"
  member  = each.value.member
}
