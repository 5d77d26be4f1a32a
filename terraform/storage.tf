locals {
  gcs_buckets = {
    main = {
      expires_after_days = null
      expires_unused     = null
      soft_delete_days   = var.main_soft_delete_days
      # GCS has no multipart upload whose parts are no objects; shared/stores/gcs/store.py puts them here, and removes
      # them. What a kill leaves is cleared away. Manifests of catalogues live for a week (shared/catalog/manifests.py);
      # people can't read this bucket, and not all may read what those of managed data say.
      clears_after_a_week = ["manifests/", "uploads/"]
    }
    # Days after the custom time that shared/stores/gcs/store.py sets at each use; what is kept for good has none.
    checkout = {
      expires_after_days  = null
      expires_unused      = var.checkout_ttl_days
      soft_delete_days    = 0
      clears_after_a_week = []
    }
    reports = {
      expires_after_days  = var.report_ttl_days
      expires_unused      = null
      soft_delete_days    = 0
      clears_after_a_week = []
    }
    staging = {
      expires_after_days  = var.staging_ttl_days
      expires_unused      = null
      soft_delete_days    = 0
      clears_after_a_week = []
    }
  }
}

# One resource for all of them: a rewrite within one location and class is one quick call for an object of any
# size, so the buckets must not differ in either.
resource "google_storage_bucket" "dss" {
  for_each = local.gcs_buckets

  name          = "${local.bucket_prefix}-${each.key}"
  location      = upper(coalesce(var.storage_location, var.region))
  storage_class = var.storage_class
  labels        = local.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # A bucket that holds objects is not destroyed.
  force_destroy = false

  # Objects are immutable: old generations would only cost.
  versioning {
    enabled = false
  }

  soft_delete_policy {
    retention_duration_seconds = each.value.soft_delete_days * 24 * 60 * 60
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  # Pages in browsers read what signed URLs lead to. Who has such a URL may read it anyhow.
  dynamic "cors" {
    for_each = contains(["main", "checkout"], each.key) && length(var.cors_origins) > 0 ? [1] : []
    content {
      origin          = var.cors_origins
      method          = ["GET", "HEAD"]
      response_header = ["Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Range", "x-goog-hash"]
      max_age_seconds = 7200
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.clears_after_a_week
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = 7
        matches_prefix = [lifecycle_rule.value]
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.expires_after_days[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.expires_unused[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        days_since_custom_time = lifecycle_rule.value
      }
    }
  }

  depends_on = [google_project_service.enabled]
}

resource "google_storage_bucket_iam_member" "staging_writer" {
  for_each = toset(var.staging_writers)

  bucket = google_storage_bucket.dss["staging"].name
  role   = "roles/storage.objectUser"
  member = each.key
}

resource "google_storage_bucket_iam_member" "checkout_reader" {
  for_each = toset(var.checkout_readers)

  bucket = google_storage_bucket.dss["checkout"].name
  role   = "roles/storage.objectViewer"
  member = each.key
}
