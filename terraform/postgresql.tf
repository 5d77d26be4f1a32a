# The index of POST /search in PostgreSQL, where postgresql_tier is set: a private address in a network of its own,
# in which the API and the functions that use it have an interface of their own (Direct VPC egress: no connector, whose
# machines would be on for ever). Nothing in it is lost with it: `dss admin index rebuild` rebuilds it.
locals {
  postgresql = var.postgresql_tier == null ? [] : ["index"]
  # Only with a password: until a person has added one, Firestore goes on holding the index.
  index_in_postgresql = var.postgresql_password_version != null
  index_users         = toset(concat(["administer", "index"], local.has_catalogues ? ["explore", "manifest", "sweep"] : []))

  index_environment = local.index_in_postgresql ? {
    DSS_INDEX = "postgresql"
    DSS_POSTGRESQL_DSN = join("", [
      "postgresql://${google_sql_user.dss["index"].name}@",
      google_sql_database_instance.dss["index"].private_ip_address,
      "/${google_sql_database.dss["index"].name}?sslmode=require",
    ])
  } : {}
}

resource "google_project_service" "postgresql" {
  for_each = toset(var.postgresql_tier == null ? [] : [
    "compute.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
  ])

  service            = each.key
  disable_on_destroy = false
}

resource "google_compute_network" "dss" {
  for_each = toset(local.postgresql)

  name                    = local.prefix
  auto_create_subnetworks = false

  depends_on = [google_project_service.postgresql]
}

# Cloud Run takes two addresses for each instance, in blocks of 16, and keeps those of a revision for a while after it:
# /26 at least. These 1,024 are for some 250 instances, twice, while a deployment goes on.
# https://cloud.google.com/run/docs/configuring/vpc-direct-vpc
resource "google_compute_subnetwork" "run" {
  for_each = toset(local.postgresql)

  name          = "${local.prefix}-run"
  region        = var.region
  network       = google_compute_network.dss[each.key].id
  ip_cidr_range = "10.9.0.0/22"
}

# Where Google's own network, in which Cloud SQL is, is joined to ours.
resource "google_compute_global_address" "services" {
  for_each = toset(local.postgresql)

  name          = "${local.prefix}-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.dss[each.key].id

  # Google takes a range that is free by then.
  depends_on = [google_compute_subnetwork.run]
}

resource "google_service_networking_connection" "services" {
  for_each = toset(local.postgresql)

  network                 = google_compute_network.dss[each.key].id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services[each.key].name]
}

resource "google_sql_database_instance" "dss" {
  for_each = toset(local.postgresql)

  name                = "${local.prefix}-index"
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = var.postgresql_deletion_protection

  settings {
    # In Google Cloud itself, too, and not in Terraform alone.
    deletion_protection_enabled = var.postgresql_deletion_protection

    tier              = var.postgresql_tier
    edition           = "ENTERPRISE"
    availability_type = var.postgresql_high_availability ? "REGIONAL" : "ZONAL"
    disk_type         = "PD_SSD"
    disk_autoresize   = true
    user_labels       = local.labels

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.dss[each.key].id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    # A restart from a backup takes minutes, a rebuild of millions of bundles takes hours. A second machine needs both.
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      # Cloud SQL, Enterprise: seven days at most.
      transaction_log_retention_days = 7
    }

    # Eight a process for the search index, and eight for catalogues (shared/postgresql/connections.py), with as many
    # instances as there may be.
    database_flags {
      name  = "max_connections"
      value = tostring(8 * (var.api_max_instances + var.index_max_instances + local.catalogue_instances) + 30)
    }

    insights_config {
      query_insights_enabled = true
    }
  }

  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "dss" {
  for_each = toset(local.postgresql)

  name     = "dss"
  instance = google_sql_database_instance.dss[each.key].name
}

# Without a password it cannot sign in; a person sets one (docs/deploy.md).
resource "google_sql_user" "dss" {
  for_each = toset(local.postgresql)

  name     = "dss"
  instance = google_sql_database_instance.dss[each.key].name

  lifecycle {
    ignore_changes = [password]
  }
}

resource "google_secret_manager_secret" "postgresql_password" {
  secret_id = "${local.prefix}-postgresql-password"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

resource "google_secret_manager_secret_iam_member" "postgresql_password" {
  for_each = merge(
    { api = google_service_account.api.member },
    { for name in local.index_users : name => google_service_account.function[name].member },
  )

  secret_id = google_secret_manager_secret.postgresql_password.id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
