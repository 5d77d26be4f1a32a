# terraform/bootstrap/ has it.
removed {
  from = google_artifact_registry_repository.images

  lifecycle {
    destroy = false
  }
}

resource "google_service_account" "api" {
  account_id   = local.api_name
  display_name = "${local.title}: the API"

  depends_on = [google_project_service.enabled]
}

# A create over an existing object must fail with 412, its precondition, and a writer without the right to
# delete may get 403 before GCS looks at the precondition; so main is objectUser, not objectCreator. The
# code has no call that deletes or overwrites, and soft delete keeps what an operator's mistake removes.
resource "google_storage_bucket_iam_member" "api" {
  for_each = {
    main     = "roles/storage.objectUser"
    checkout = "roles/storage.objectViewer"
    staging  = "roles/storage.objectViewer"
    reports  = "roles/storage.objectViewer" # Those of imports are shown to who began them.
  }

  bucket = google_storage_bucket.dss[each.key].name
  role   = each.value
  member = google_service_account.api.member
}

# For signBlob, by which URLs are signed while there is no signing key.
resource "google_service_account_iam_member" "api_signs_as_itself" {
  service_account_id = google_service_account.api.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.api.member
}

resource "google_secret_manager_secret_iam_member" "api" {
  for_each = {
    signing_key         = google_secret_manager_secret.signing_key.id
    subscription_key    = google_secret_manager_secret.subscription_key.id
    application_secrets = google_secret_manager_secret.application_secrets.id
    sign_in_clients     = google_secret_manager_secret.sign_in_clients.id
  }

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.api.member
}

locals {
  api_name              = "${local.prefix}-api"
  subscription_key_file = "/secrets/subscription-key/keys"
  # Cloud Run: every service has this address, known before the service exists.
  api_run_url      = "https://${local.api_name}-${data.google_project.this.number}.${var.region}.run.app"
  api_public_url   = coalesce(var.public_url, local.api_run_url)
  signing_key_file = "/secrets/signing-key/key.json"

  # Whose tokens the API accepts beside those of the first issuer, and where it asks for them.
  sign_in_environment = {
    OIDC_ISSUERS           = jsonencode(var.oidc_issuers)
    DSS_TOKEN_INFO_URL     = var.token_info_url
    DSS_TOKEN_INFO_CLIENTS = join(",", var.token_info_clients)
    DSS_SECURED            = join(",", var.secured_operations)
  }

  # Whether all requests have to come through the load balancer.
  behind_load_balancer = var.load_balancer != null && try(var.load_balancer.required, false)
  # Cloud Run's front end connects from a link-local address. A load balancer appends its own address to
  # X-Forwarded-For, and Google's proxies are in the other two networks.
  # https://cloud.google.com/load-balancing/docs/https#x-forwarded-for_header
  trusted_proxies = concat(
    ["169.254.0.0/16"],
    var.load_balancer == null ? [] : ["${module.load_balancer["api"].address}/32", "130.211.0.0/22", "35.191.0.0/16"],
  )

  limits_environment = {
    DSS_PRINCIPAL_UNITS    = var.principal_units == null ? "" : tostring(var.principal_units)
    DSS_ADDRESS_UNITS      = var.address_units == null ? "" : tostring(var.address_units)
    DSS_UNLIMITED_NETWORKS = join(",", var.unlimited_networks)
  }

  # By which it is decided who may put what from where.
  deciding_environment = {
    DSS_CALLBACK_NETWORKS = join(",", var.callback_networks)
    DSS_GS_STAGING_BUCKET = google_storage_bucket.dss["staging"].name
    DSS_S3_STAGING_BUCKET = module.aws.bucket_names["staging"]
    DSS_SOURCES           = length(var.sources) == 0 ? "" : jsonencode(var.sources)
    DSS_WRITE_GROUPS      = join(",", var.write_groups)
    ADMIN_USER_EMAILS     = join(",", var.admin_emails)
    DSS_HIDE_MANAGED      = tostring(var.hide_managed)
    DSS_ACCESS_CONTACT    = var.access_contact
    DSS_OWNER_GROUP       = var.owner_group
  }

  # Settings left out keep their defaults in shared/config.py.
  api_environment = merge(local.shared_environment, local.index_environment, local.catalogues_environment, local.sign_in_environment, local.limits_environment, local.deciding_environment, {
    OTEL_SERVICE_NAME     = local.api_name
    DSS_AWS_ROLE_ARN      = module.aws.role_arns["api"]
    DSS_PUBLIC_URL        = local.api_public_url
    DSS_TRUSTED_PROXIES   = join(",", local.trusted_proxies)
    DSS_READ_ONLY_MODE    = tostring(var.read_only)
    DSS_CORS_ORIGINS      = length(var.cors_origins) == 0 ? "none" : join(",", var.cors_origins)
    DSS_CHECKOUTS_AT_ONCE = tostring(var.checkouts_at_once)
    DSS_DESTINATIONS      = length(var.destinations) == 0 ? "" : jsonencode(var.destinations)
    OIDC_EMAIL_CLAIM      = join(",", var.oidc_email_claims)
    OIDC_GROUP_CLAIM      = join(",", var.oidc_group_claims)
    DSS_AUDIT_LOG_BUCKET  = local.audit_log_bucket
    DSS_SUBSCRIPTION_DAYS = tostring(var.subscription_days)
    DSS_ORGANIZATION_NAME = var.organization.name
    DSS_ORGANIZATION_URL  = var.organization.url
    DSS_GS_REGION         = lower(google_storage_bucket.dss["main"].location)
    DSS_S3_REGION         = var.aws_region
    DSS_PURGE_GRACE_HOURS = tostring(var.purge_grace_hours) # For operators, who take the API's settings.
    DSS_TRUSTED_PROJECTS  = join(",", var.trusted_projects)
    DSS_GS_SIGNING_KEY_FILE = (
      var.signing_key_version == null ? "" : local.signing_key_file
    )
    DSS_SECRETS_KEY_FILE = (
      var.subscription_key_version == null ? "" : local.subscription_key_file
    )
  })
}

# Samples and replays of subscriptions; and who may read a new bundle.
resource "google_pubsub_topic_iam_member" "api" {
  for_each = toset(concat(["deliveries", "replays"], local.changes_topics))

  topic  = google_pubsub_topic.dss[each.key].name
  role   = "roles/pubsub.publisher"
  member = google_service_account.api.member
}

resource "google_cloud_run_v2_service" "api" {
  name     = local.api_name
  location = var.region
  ingress = (
    var.private ? "INGRESS_TRAFFIC_INTERNAL_ONLY" :
    local.behind_load_balancer ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  )
  deletion_protection = false
  labels              = local.labels

  # The API authenticates its callers itself. A grant to allUsers would do the same, but an organisation's
  # policy on members usually forbids it.
  invoker_iam_disabled = true

  template {
    service_account = google_service_account.api.email
    # Clients give up after 40 s and retry; 60 leaves room for the API's own deadline to come first.
    timeout = "60s"
    # As many as the API has threads (run/api/gateway.py).
    max_instance_request_concurrency = 32

    scaling {
      min_instance_count = var.api_min_instances
      max_instance_count = var.api_max_instances
    }

    dynamic "vpc_access" {
      for_each = google_compute_subnetwork.run
      content {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.id
        }
      }
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu = "1"
          # As many bytes as DSS_API_MEMORY_BYTES has by default. Measured under 32 of the largest requests at once.
          memory = "1Gi"
        }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = { for name, value in local.api_environment : name => value if value != "" }
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.application_secrets_version[*]
        content {
          name = "DSS_APPLICATION_SECRETS"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.application_secrets.secret_id
              version = env.value
            }
          }
        }
      }

      dynamic "env" {
        for_each = var.sign_in_clients_version[*]
        content {
          name = "DSS_SIGN_IN_CLIENTS"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.sign_in_clients.secret_id
              version = env.value
            }
          }
        }
      }

      dynamic "env" {
        for_each = var.postgresql_password_version[*]
        content {
          name = "PGPASSWORD"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.postgresql_password.secret_id
              version = env.value
            }
          }
        }
      }

      dynamic "volume_mounts" {
        for_each = var.signing_key_version[*]
        content {
          name       = "signing-key"
          mount_path = dirname(local.signing_key_file)
        }
      }

      dynamic "volume_mounts" {
        for_each = var.subscription_key_version[*]
        content {
          name       = "subscription-key"
          mount_path = dirname(local.subscription_key_file)
        }
      }

      # Not /internal/health: that is 503 while either cloud is away, and then the other one's replica must
      # still be served, by new instances too. monitoring.tf watches it.
      startup_probe {
        # A cold start lasts until the next probe.
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 60
        http_get {
          path = "/version"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 10
        failure_threshold = 3
        http_get {
          path = "/version"
        }
      }
    }

    dynamic "volumes" {
      for_each = var.signing_key_version[*]
      content {
        name = "signing-key"
        secret {
          secret = google_secret_manager_secret.signing_key.secret_id
          items {
            version = volumes.value
            path    = basename(local.signing_key_file)
          }
        }
      }
    }

    dynamic "volumes" {
      for_each = var.subscription_key_version[*]
      content {
        name = "subscription-key"
        secret {
          secret = google_secret_manager_secret.subscription_key.secret_id
          items {
            version = volumes.value
            path    = basename(local.subscription_key_file)
          }
        }
      }
    }
  }

  # At first. Later, a new revision gets requests when it has been tried (cloudbuild-apply.yaml).
  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  lifecycle {
    ignore_changes = [traffic]
  }

  # A revision that starts before it may read does not become ready, and a query without its index fails.
  depends_on = [
    google_firestore_field.every,
    google_firestore_field.own,
    google_firestore_index.composite,
    time_sleep.grants,
  ]
}
