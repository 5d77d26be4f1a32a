data "google_project" "this" {
  project_id = var.project_id
}

locals {
  labels        = { system = "dss" }
  bucket_prefix = coalesce(var.bucket_prefix, "${var.project_id}-dss")
}

resource "google_project_service" "enabled" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "monitoring.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])

  service = each.key
  # Other things in the project may use the API; switching it off is a person's decision.
  disable_on_destroy = false
}
