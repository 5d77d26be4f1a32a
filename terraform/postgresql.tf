# The index of POST /search in PostgreSQL, where postgresql_tier is set: a private address in a network of its own,
# which the API and the functions that index reach through a connector. Nothing in it is lost with it:
# `dss admin index rebuild` rebuilds it.
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
    "vpcaccess.googleapis.com",
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

# Where Google's own network, in which Cloud SQL is, is joined to ours.
resource "google_compute_global_address" "services" {
  for_each = toset(local.postgresql)

  name          = "${local.prefix}-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.dss[each.key].id
}

resource "google_service_networking_connection" "services" {
  for_each = toset(local.postgresql)

  network                 = google_compute_network.dss[each.key].id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services[each.key].name]
}

resource "google_vpc_access_connector" "dss" {
  for_each = toset(local.postgresql)

  name    = local.prefix
  region  = var.region
  network = google_compute_network.dss[each.key].name
  # Cloud Run: a connector takes a range of 16 addresses that nothing else has.
  ip_cidr_range = "10.8.0.0/28"
  min_instances = 2
  max_instances = 5
}

resource "google_sql_database_instance" "dss" {
  for_each = toset(local.postgresql)

  name                = "${local.prefix}-index"
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = false

  settings {
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

    # A restart from a backup takes minutes, a rebuild of millions of bundles takes hours.
    backup_configuration {
      enabled = true
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
