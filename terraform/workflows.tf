# One workflow a file of workflows/.
locals {
  workflows_directory = "${path.module}/../workflows"
  workflows_prefix    = "${local.prefix}-"

  workflows = {
    for file in fileset(local.workflows_directory, "*.yaml") : trimsuffix(file, ".yaml") => file
    if local.has_catalogues || !contains(local.catalogue_workflows, file)
  }

  starts_workflows = concat(["api"], [for name, row in local.functions : name if row.starts_workflows])
}

resource "google_workflows_workflow" "dss" {
  for_each = local.workflows

  name                = "${local.workflows_prefix}${each.key}"
  region              = var.region
  service_account     = google_service_account.caller["workflows"].id
  source_contents     = file("${local.workflows_directory}/${each.value}")
  call_log_level      = "LOG_ERRORS_ONLY"
  deletion_protection = false
  labels              = local.labels

  # The functions that workflows call.
  user_env_vars = {
    for name, row in local.functions :
    "DSS_${upper(name)}_FUNCTION_URL" => local.function_urls[name] if row.called_by == "workflows"
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.invoker,
    google_project_iam_member.workflows_log,
    google_project_service.enabled,
  ]
}

# Cloud Workflows grants on projects only, and knows no conditions. An execution does nothing but what its job's
# document says.
resource "google_project_iam_member" "starts_workflows" {
  for_each = toset(local.starts_workflows)

  project = var.project_id
  role    = "roles/workflows.invoker"
  member  = local.google_accounts[each.key].member
}

resource "google_project_iam_member" "operators" {
  for_each = local.all_operators

  project = var.project_id
  role    = "roles/workflows.invoker"
  member  = each.key
}

# How far a run has come is in Firestore.
resource "google_project_iam_member" "operators_read_runs" {
  for_each = local.all_operators

  project = var.project_id
  role    = "roles/datastore.viewer"
  member  = each.key

  condition {
    title      = "catalog only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.catalog.name}\""
  }
}

# Lists go into the bucket, and stay as they are: an operator replaces neither a list nor a report.
resource "google_storage_bucket_iam_member" "operators" {
  for_each = {
    for grant in setproduct(local.all_operators, ["roles/storage.objectCreator", "roles/storage.objectViewer"]) :
    join(" ", grant) => { member = grant[0], role = grant[1] }
  }

  bucket = google_storage_bucket.dss["reports"].name
  role   = each.value.role
  member = each.value.member
}

# As for builds.
resource "google_project_iam_member" "workflows_log" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.caller["workflows"].member
}
