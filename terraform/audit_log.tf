# The audit log (shared/access/audit_log.py): who wrote, who was refused, who was handed a signed URL, and what
# operators did. The API prints its lines, `dss admin` writes its own by the API of Cloud Logging; both have the label
# by which the sink knows them. With them goes what the clouds record beside the system.
locals {
  audit_log_id     = "${local.prefix}-audit"
  audit_log_bucket = "projects/${var.project_id}/locations/${var.region}/buckets/${local.audit_log_id}"
  audit_log_view   = "${local.audit_log_bucket}/views/_AllLogs"
}

resource "google_logging_project_bucket_config" "audit" {
  project        = var.project_id
  location       = var.region
  bucket_id      = local.audit_log_id
  description    = "Who read and wrote what in the DSS."
  retention_days = var.audit_log_days
  # For good: a locked bucket keeps its retention, and cannot be deleted while it holds an entry.
  locked = var.audit_log_locked

  # `dss admin who` looks for these.
  dynamic "index_configs" {
    for_each = toset(["jsonPayload.uuid", "jsonPayload.uuids", "jsonPayload.handed_out"])
    content {
      field_path = index_configs.value
      type       = "INDEX_TYPE_STRING"
    }
  }

  depends_on = [google_project_service.enabled]
}

# A bucket of the same project needs no grant to the sink.
# https://cloud.google.com/logging/docs/export/configure_export_v2#dest-auth
resource "google_logging_project_sink" "audit" {
  project                = var.project_id
  name                   = local.audit_log_id
  description            = "The audit log of the DSS, and data access beside it."
  destination            = "logging.googleapis.com/${local.audit_log_bucket}"
  unique_writer_identity = true
  filter = join(" OR ", [
    "labels.dss_log=\"audit\"",
    "logName=\"projects/${var.project_id}/logs/cloudaudit.googleapis.com%2Fdata_access\"",
  ])

  depends_on = [google_logging_project_bucket_config.audit]
}

# Who read or wrote buckets, catalog and runs beside the API. Such entries (Data Access) are off by default. The
# system's own accounts are exempt: the audit log records for whom they work, and the catalog what they did. But not
# where the API reads objects: without a signing key its account signs URLs, and reads by them count as its own.
# https://cloud.google.com/storage/docs/audit-logging
# https://cloud.google.com/firestore/docs/audit-logging: this name stands for Firestore, too.
# https://cloud.google.com/workflows/docs/audit-logging-workflow-executions
resource "google_project_iam_audit_config" "data_access" {
  # One resource of a project is all that may set them for a service.
  for_each = toset(!var.audits_project ? [] : [
    "datastore.googleapis.com", "storage.googleapis.com", "workflowexecutions.googleapis.com",
    "workflows.googleapis.com",
  ])

  project = var.project_id
  service = each.key

  dynamic "audit_log_config" {
    for_each = toset(["DATA_READ", "DATA_WRITE"])
    content {
      log_type = audit_log_config.value
      exempted_members = [
        for name in sort(keys(local.google_accounts)) : local.google_accounts[name].member
        if !(name == "api" && each.key == "storage.googleapis.com" && audit_log_config.value == "DATA_READ")
      ]
    }
  }

  depends_on = [google_project_service.enabled]
}

moved {
  from = google_project_iam_audit_config.writes
  to   = google_project_iam_audit_config.data_access
}

# `dss admin who`.
resource "google_project_iam_member" "operators_read_audit_log" {
  for_each = local.all_operators

  project = var.project_id
  role    = "roles/logging.viewAccessor"
  member  = each.key

  condition {
    title      = "audit log only"
    expression = "resource.name == \"${local.audit_log_view}\""
  }
}

# Every command of `dss admin` leaves a line. Cloud Logging knows no smaller place.
resource "google_project_iam_member" "operators_write_audit_log" {
  for_each = local.all_operators

  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = each.key
}
