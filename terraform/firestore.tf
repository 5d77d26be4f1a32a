# What the queries in shared/catalog/ need; a test compares the file with shared/catalog/indexes.py.
locals {
  firestore = jsondecode(file("${path.module}/firestore-indexes.json"))
  # The provider gives up after 20 minutes by default and forgets the index, which the next apply then finds in its
  # way. Over an hour has been reported; the build ends after two (cloudbuild.yaml).
  firestore_timeout = "100m"
}

resource "google_firestore_database" "catalog" {
  name        = coalesce(var.firestore_database, var.stage == "" ? "(default)" : local.prefix)
  location_id = coalesce(var.firestore_location, var.region)
  type        = "FIRESTORE_NATIVE"

  # The catalog can be rebuilt from a bucket, but not in an instant.
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  deletion_policy                   = "ABANDON"

  depends_on = [google_project_service.enabled]
}

locals {
  catalog_users = concat(["api"], [for name, row in local.functions : name if row.catalog])
}

resource "google_project_iam_member" "catalog" {
  for_each = toset(local.catalog_users)

  project = var.project_id
  role    = "roles/datastore.user"
  member  = local.google_accounts[each.key].member

  # Firestore roles are granted on the project; the condition binds this one to the database.
  condition {
    title      = "catalog only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.catalog.name}\""
  }
}

resource "google_firestore_index" "composite" {
  for_each = {
    for index in local.firestore.composite_indexes :
    join(" ", concat([index.collection], [for field in index.fields : "${field.path}:${field.mode}"])) => index
  }

  database   = google_firestore_database.catalog.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.path
      order        = fields.value.mode == "CONTAINS" ? null : fields.value.mode
      array_config = fields.value.mode == "CONTAINS" ? "CONTAINS" : null
    }
  }

  timeouts {
    create = local.firestore_timeout
    delete = local.firestore_timeout
  }
}

resource "google_firestore_field" "exempt" {
  for_each = {
    for exemption in local.firestore.exemptions :
    "${exemption.collection} ${exemption.field}" => exemption
  }

  database   = google_firestore_database.catalog.name
  collection = each.value.collection
  field      = each.value.field

  # Empty: no single-field index.
  index_config {}

  dynamic "ttl_config" {
    for_each = contains(local.firestore.times_to_live, each.value) ? [1] : []
    content {}
  }

  timeouts {
    create = local.firestore_timeout
    update = local.firestore_timeout
    delete = local.firestore_timeout
  }
}

# By default a list is indexed within each collection only.
resource "google_firestore_field" "group_list" {
  for_each = {
    for list in local.firestore.group_lists : "${list.collection} ${list.field}" => list
  }

  database   = google_firestore_database.catalog.name
  collection = each.value.collection
  field      = each.value.field

  index_config {
    indexes {
      query_scope  = "COLLECTION_GROUP"
      array_config = "CONTAINS"
    }
  }

  timeouts {
    create = local.firestore_timeout
    update = local.firestore_timeout
    delete = local.firestore_timeout
  }
}

# One schedule of each kind is all that Firestore allows a database, and 14 weeks the longest retention. A backup is
# restored into a new database.
# https://cloud.google.com/firestore/native/docs/backups
resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.catalog.name
  retention = "${14 * 24 * 60 * 60}s"

  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  database  = google_firestore_database.catalog.name
  retention = "${14 * 7 * 24 * 60 * 60}s"

  weekly_recurrence {
    day = "SUNDAY"
  }
}
