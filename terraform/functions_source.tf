# What functions are built from, by whom, and where to.
locals {
  # Packed by terraform/package_functions.py.
  functions_archive = "${path.module}/../build/functions.zip"
}

resource "google_storage_bucket" "source" {
  name     = "${local.bucket_prefix}-source"
  location = upper(var.region)
  labels   = local.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # It holds nothing that the repository does not.
  force_destroy = true

  depends_on = [google_project_service.enabled]
}

# Named by its content, so that functions are built only when that changes.
resource "google_storage_bucket_object" "functions" {
  name   = "functions-${filesha256(local.functions_archive)}.zip"
  bucket = google_storage_bucket.source.name
  source = local.functions_archive
}

# Not the API's repository: Cloud Functions moves the tag `latest`.
resource "google_artifact_registry_repository" "functions" {
  repository_id = "${local.prefix}-functions"
  location      = var.region
  format        = "DOCKER"
  description   = "Container images that Cloud Functions builds."
  labels        = local.labels

  depends_on = [google_project_service.enabled]
}

resource "google_service_account" "build" {
  account_id   = "${local.prefix}-build"
  display_name = "${local.title}: builds functions"

  depends_on = [google_project_service.enabled]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.functions.name
  location   = google_artifact_registry_repository.functions.location
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_project_iam_member" "build" {
  for_each = {
    # Cloud Functions copies the archive into a bucket that it makes itself, and builds from there.
    "roles/storage.objectViewer" = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}\")"
    # Cloud Logging takes entries on projects only.
    "roles/logging.logWriter" = null
  }

  project = var.project_id
  role    = each.key
  member  = google_service_account.build.member

  dynamic "condition" {
    for_each = each.value[*]
    content {
      title      = "sources only"
      expression = condition.value
    }
  }
}
