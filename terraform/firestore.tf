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

# No field of a collection has an index of its own, except those below: what a field has overrides this. The provider
# refuses a time to live here.
# https://cloud.google.com/firestore/docs/query-data/indexing#add_a_collection-level_exemption
resource "google_firestore_field" "every" {
  for_each = toset(local.firestore.collections)

  database   = google_firestore_database.catalog.name
  collection = each.key
  field      = "*"

  # Empty: no single-field index.
  index_config {}

  timeouts {
    create = local.firestore_timeout
    update = local.firestore_timeout
    delete = local.firestore_timeout
  }

  # A later deployment has an index before it loses the one that each field has by default.
  depends_on = [google_firestore_field.own]
}

# Fields that a query compares or orders by alone, with just the index that it needs, and times to live, with none.
resource "google_firestore_field" "own" {
  for_each = {
    for row in concat(local.firestore.field_indexes, local.firestore.times_to_live) :
    "${row.collection} ${row.field}" => { collection = row.collection, field = row.field }...
  }

  database   = google_firestore_database.catalog.name
  collection = each.value[0].collection
  field      = each.value[0].field

  index_config {
    dynamic "indexes" {
      for_each = [
        for index in local.firestore.field_indexes : index if "${index.collection} ${index.field}" == each.key
      ]
      content {
        query_scope  = indexes.value.scope
        order        = indexes.value.mode == "CONTAINS" ? null : indexes.value.mode
        array_config = indexes.value.mode == "CONTAINS" ? "CONTAINS" : null
      }
    }
  }

  dynamic "ttl_config" {
    for_each = contains(local.firestore.times_to_live, each.value[0]) ? [1] : []
    content {}
  }

  timeouts {
    create = local.firestore_timeout
    update = local.firestore_timeout
    delete = local.firestore_timeout
  }
}

# Both were resources of their own. Without this, an apply could undo the settings of a field after it made them.
moved {
  from = google_firestore_field.exempt
  to   = google_firestore_field.own
}

moved {
  from = google_firestore_field.group_list["pages contains"]
  to   = google_firestore_field.own["pages contains"]
}

moved {
  from = google_firestore_field.group_list["pages linked"]
  to   = google_firestore_field.own["pages linked"]
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
