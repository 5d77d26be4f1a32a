# What runs when something has happened. The entry points are in functions/main.py; to add a function there, add
# its row here (a test compares the two), and in functions/subscriptions.json what it is sent.
locals {
  functions = merge(local.functions_of_all, local.catalogue_functions)

  # A new project has 20 vCPU and 40 GiB for Cloud Run in a region, and Cloud Run refuses a service whose instances
  # could need more together: the defaults of max_instances stay within that (a test multiplies).
  # https://cloud.google.com/run/docs/configuring/max-instances-limits
  functions_of_all = {
    # What its events hold of objects is bounded by COPY_MEMORY_BYTES (shared/system.py), 512 MiB, beside some 110 MiB idle: an
    # event that finds no room is answered by 429. So small objects go side by side, and large ones a few at once.
    sync = {
      summary          = "Replicates what is new to every other replica."
      called_by        = "pubsub"
      memory           = "1Gi"
      timeout_seconds  = 540 # shared/replication.py ends after 480; Pub/Sub gives up after 600.
      concurrency      = 32
      max_instances    = var.sync_max_instances
      gcs              = { main = "roles/storage.objectUser" }
      s3               = { reads = ["main"], reads_sources = false, creates = ["main"], aborts = [], removes = ["main/blobs"], checks_out = false }
      catalog          = true
      publishes_to     = concat(["dead-letters"], local.changes_topics)
      starts_workflows = true
      environment      = {}
    }
    # Measured: to make and index a document takes 160 MiB at worst (shared/search/bounds.py has the limits), beside 80 MiB idle.
    index = {
      summary          = "Journals, indexes and tells what a replica has gained."
      called_by        = "pubsub"
      memory           = "1Gi"
      timeout_seconds  = 540 # Pub/Sub gives up after 600.
      concurrency      = 4
      max_instances    = var.index_max_instances
      gcs              = { main = "roles/storage.objectUser" }
      s3               = { reads = ["main"], reads_sources = false, creates = ["main"], aborts = [], removes = [], checks_out = false }
      catalog          = true
      publishes_to     = concat(["bundle-events", "dead-letters"], local.changes_topics)
      starts_workflows = false
      environment      = {}
    }
    # What subscribers ask is evaluated in processes of 512 MiB at most (shared/webhooks/evaluator.py), one for each event.
    notify = {
      summary          = "Finds out which subscriptions an event matches."
      called_by        = "pubsub"
      memory           = "2Gi"
      timeout_seconds  = 540 # Pub/Sub gives up after 600.
      concurrency      = 2
      max_instances    = var.notify_max_instances
      gcs              = { main = "roles/storage.objectViewer" }
      s3               = { reads = ["main"], reads_sources = false, creates = [], aborts = [], removes = [], checks_out = false }
      catalog          = true
      publishes_to     = ["deliveries", "delivery-retries", "replays", "dead-letters"]
      starts_workflows = false
      environment      = merge(local.notified_environment, { DSS_PUBLIC_URL = local.api_public_url })
    }
    # They wait for other people's servers, and do little else.
    deliver = {
      summary          = "Notifies subscribers for the first time."
      called_by        = "pubsub"
      memory           = "512Mi"
      timeout_seconds  = 50 # Pub/Sub gives up after 60.
      concurrency      = 64
      max_instances    = var.deliver_max_instances
      gcs              = {}
      s3               = null
      catalog          = true
      publishes_to     = ["delivery-retries", "dead-letters"]
      starts_workflows = false
      environment      = merge(local.notified_environment, { DSS_CALLBACK_NETWORKS = join(",", var.callback_networks) })
    }
    redeliver = {
      summary          = "Notifies subscribers that have failed, or are slow, and replays."
      called_by        = "pubsub"
      memory           = "512Mi"
      timeout_seconds  = 110 # Pub/Sub gives up after 120.
      concurrency      = 64
      max_instances    = var.deliver_max_instances
      gcs              = {}
      s3               = null
      catalog          = true
      publishes_to     = ["dead-letters"]
      starts_workflows = false
      environment      = merge(local.notified_environment, { DSS_CALLBACK_NETWORKS = join(",", var.callback_networks) })
    }
    compact = {
      summary          = "Puts events that have come by into journals of many, and saves subscriptions."
      called_by        = "scheduler"
      memory           = "512Mi"
      timeout_seconds  = 1800
      concurrency      = 1
      max_instances    = 1 # A second one beside the first would only do the same.
      gcs              = { main = "roles/storage.objectUser" }
      s3               = { reads = ["main"], reads_sources = false, creates = ["main"], aborts = [], removes = ["main/subscriptions"], checks_out = false }
      catalog          = true
      publishes_to     = []
      starts_workflows = false
      environment      = {}
    }
    s3_events = {
      summary          = "Turns what SNS tells of S3's objects into object events."
      called_by        = "anyone" # SNS has no Google identity; the function verifies SNS's signatures.
      memory           = "512Mi"
      timeout_seconds  = 60 # SNS gives up after 15.
      concurrency      = 32
      max_instances    = 20
      gcs              = {}
      s3               = null
      catalog          = false
      publishes_to     = ["object-events"]
      starts_workflows = false
      environment      = { DSS_SNS_TOPICS = module.aws.object_events_topic_arn }
    }
    sweep = {
      summary         = "Brings to mind again what a replica has lacked for too long, and measures the backlogs."
      called_by       = "scheduler"
      memory          = "512Mi"
      timeout_seconds = 1800
      concurrency     = 1
      max_instances   = 1 # A second sweep beside the first would publish the same again.
      # GCS's unfinished uploads are objects, and are removed as such. In S3 it sees what is there, and aborts.
      gcs              = { main = "roles/storage.objectUser", checkout = "roles/storage.objectUser" }
      s3               = { reads = ["main"], reads_sources = false, creates = [], aborts = ["main", "checkout"], removes = [], checks_out = false }
      catalog          = true
      publishes_to     = concat(["object-events"], local.changes_topics)
      starts_workflows = true
      environment      = {}
    }
    # Parts are streamed, as sync does. While an object is verified, 8 chunks of 8 MiB are read ahead and 16 are on
    # their way to the other replica; one of a single part (64 MiB) is in memory three times.
    copy = {
      summary         = "Does the steps of a large copy."
      called_by       = "workflows"
      memory          = "1Gi"
      timeout_seconds = 1800 # Cloud Workflows gives up after as long.
      concurrency     = 2
      max_instances   = var.copy_max_instances
      # Large files of checkouts are copied into the checkout bucket.
      gcs = {
        main     = "roles/storage.objectUser"
        staging  = "roles/storage.objectViewer"
        checkout = "roles/storage.objectUser"
      }
      s3 = {
        reads         = ["main", "staging", "checkout"]
        reads_sources = true
        creates       = ["main", "checkout"]
        aborts        = []
        removes       = ["main/blobs", "checkout"]
        checks_out    = true
      }
      catalog          = true
      publishes_to     = []
      starts_workflows = false
      environment      = {}
    }
    # It copies within each cloud, so no content passes through it.
    checkout = {
      summary         = "Does the steps of a checkout."
      called_by       = "workflows"
      memory          = "512Mi"
      timeout_seconds = 1800 # Cloud Workflows gives up after as long.
      concurrency     = 4
      max_instances   = var.checkout_max_instances
      gcs             = { main = "roles/storage.objectViewer", checkout = "roles/storage.objectUser" }
      s3 = {
        reads         = ["main", "checkout"]
        reads_sources = false
        creates       = ["checkout"]
        aborts        = []
        removes       = ["checkout"]
        checks_out    = true
      }
      catalog          = true
      publishes_to     = []
      starts_workflows = true
      environment      = {}
    }
    # Eight objects of DSS_INLINE_VERIFY_BYTES (16 MiB) are read side by side, each in memory twice; a large one by itself,
    # of which 8 chunks of 8 MiB are read ahead, and 16 are on their way to another cloud. A shard has some 16,000 rows.
    importer = {
      summary         = "Does the steps of an import: lists, hashes, has clouds copy, and makes bundles."
      called_by       = "workflows"
      memory          = "2Gi"
      timeout_seconds = 1800 # Cloud Workflows gives up after as long.
      concurrency     = 1
      max_instances   = var.import_max_instances
      gcs = {
        main    = "roles/storage.objectUser"
        staging = "roles/storage.objectViewer"
        reports = "roles/storage.objectUser"
      }
      s3 = {
        reads         = ["main", "staging"]
        reads_sources = true
        creates       = ["main"]
        aborts        = []
        removes       = ["main/blobs"]
        checks_out    = false
      }
      catalog          = true
      publishes_to     = local.changes_topics
      starts_workflows = true # What a cloud takes longer to copy goes to the copy workflow.
      environment      = local.deciding_environment
    }
    # An audit reads a part of a manifest's bundle at a time, a repair moves a part of an object as sync does; the
    # index is held against eight documents at once, each as large as one of the function index.
    administer = {
      summary         = "Does the steps of administrative runs."
      called_by       = "workflows"
      memory          = "1Gi"
      timeout_seconds = 1800 # Cloud Workflows gives up after as long.
      concurrency     = 1
      # A run that is split has 16 slices at once (shared/jobs/sharding.py); others go on beside it.
      max_instances = 20
      gcs           = { main = "roles/storage.objectUser", checkout = "roles/storage.objectUser", reports = "roles/storage.objectUser" }
      s3 = {
        reads         = ["main", "checkout"]
        reads_sources = false
        creates       = ["main", "checkout"]
        aborts        = ["main", "checkout"]
        removes       = ["main", "checkout"] # A purge removes manifests, too.
        erases        = ["main"]
        checks_out    = false
      }
      catalog          = true
      publishes_to     = concat(["object-events"], local.changes_topics)
      starts_workflows = true # What is too large for a step goes to the copy workflow.
      environment = {
        ADMIN_USER_EMAILS     = join(",", var.admin_emails)
        DSS_PURGE_GRACE_HOURS = tostring(var.purge_grace_hours)
      }
    }
  }

  # As whom subscriptions act.
  notified_environment = {
    ADMIN_USER_EMAILS     = join(",", var.admin_emails)
    DSS_SUBSCRIPTION_DAYS = tostring(var.subscription_days)
  }
  mailing_functions = toset(["checkout", "sweep"])
  # What has the keys of subscriptions: to sign with their secrets, to save all that they are, and to restore it.
  signing_functions = toset(["administer", "compact", "deliver", "redeliver"])

  function_names = { for name, row in local.functions : name => "${local.prefix}-${replace(name, "_", "-")}" }
  # As for the API's: Google's own services count as internal when they call a service by its run.app URL.
  # https://cloud.google.com/run/docs/securing/ingress
  function_urls = { for name, service in google_cloud_run_v2_service.function : name => service.uri }

  # Settings left out keep their defaults in shared/config.py.
  function_environments = {
    for name, row in local.functions : name => merge(
      local.shared_environment,
      { OTEL_SERVICE_NAME = local.function_names[name] },
      # functions-framework's: as many as there are requests.
      { THREADS = tostring(row.concurrency) },
      row.s3 == null ? {} : { DSS_AWS_ROLE_ARN = module.aws.role_arns[name] },
      row.environment,
      contains(local.signing_functions, name) && var.subscription_key_version != null ? { DSS_SECRETS_KEY_FILE = local.subscription_key_file } : {},
      contains(local.index_users, name) ? local.index_environment : {},
      contains(local.catalogue_users, name) ? local.catalogues_environment : {},
    )
  }
  function_secrets = {
    for name, row in local.functions : name => concat(
      [
        for version in var.postgresql_password_version[*] :
        { name = "PGPASSWORD", secret = google_secret_manager_secret.postgresql_password.secret_id, version = version }
        if contains(local.index_users, name)
      ],
      [
        for version in var.smtp_password_version[*] :
        { name = "DSS_SMTP_PASSWORD", secret = google_secret_manager_secret.smtp_password.secret_id, version = version }
        if contains(local.mailing_functions, name)
      ],
    )
  }
}

resource "google_service_account" "function" {
  for_each = local.functions

  account_id   = local.function_names[each.key]
  display_name = "${local.title}: function ${each.key}"

  depends_on = [google_project_service.enabled]
}

# Services of the image that the API runs, too, each with its own command: so one digest is what runs, what is tried,
# and what is gone back to.
resource "google_cloud_run_v2_service" "function" {
  for_each = local.functions

  name        = local.function_names[each.key]
  location    = var.region
  description = each.value.summary
  # Pub/Sub, Cloud Scheduler and Cloud Workflows of this project are internal.
  ingress             = each.value.called_by == "anyone" ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false
  labels              = local.labels

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = "${each.value.timeout_seconds}s"
    max_instance_request_concurrency = each.value.concurrency

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.max_instances
    }

    dynamic "vpc_access" {
      for_each = contains(local.index_users, each.key) ? google_compute_subnetwork.run : {}
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
      # Where its source is, the image says.
      command = ["functions-framework", "--target=${each.key}"]

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = "1" # Cloud Run: what serves several requests at once has one at least.
          memory = each.value.memory
        }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = { for name, value in local.function_environments[each.key] : name => value if value != "" }
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.function_secrets[each.key]
        content {
          name = env.value.name
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }

      dynamic "volume_mounts" {
        for_each = contains(local.signing_functions, each.key) ? var.subscription_key_version[*] : []
        content {
          name       = "subscription-key"
          mount_path = dirname(local.subscription_key_file)
        }
      }

      # It listens when it has read its settings and imported all that it needs. Every path is the function's own, so
      # none is asked.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 60
        tcp_socket {
          port = 8080
        }
      }
    }

    dynamic "volumes" {
      for_each = contains(local.signing_functions, each.key) ? var.subscription_key_version[*] : []
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

  # At first. Later, new revisions get requests when the API's has been tried (cloudbuild-apply.yaml).
  traffic {
    type    = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
    percent = 100
  }

  lifecycle {
    ignore_changes = [traffic]
  }

  depends_on = [
    # A function that is called before it may do its work fails, and is called again: harmless, but loud.
    google_firestore_field.every,
    google_firestore_field.own,
    google_firestore_index.composite,
    time_sleep.grants,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.functions

  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value.called_by == "anyone" ? "allUsers" : google_service_account.caller[each.value.called_by].member
}

# In whose names functions are called.
resource "google_service_account" "caller" {
  for_each = {
    pubsub    = "Pub/Sub"
    scheduler = "Cloud Scheduler"
    workflows = "Cloud Workflows"
  }

  account_id   = "${local.prefix}-${each.key}"
  display_name = "${local.title}: in whose name ${each.value} calls functions"

  depends_on = [google_project_service.enabled]
}

# Main is objectUser, not objectCreator, for the API's reason (api.tf), and because copies that prove wrong and
# the parts of finished uploads are removed.
resource "google_storage_bucket_iam_member" "function" {
  for_each = merge([
    for name, row in local.functions : {
      for purpose, role in row.gcs : "${name} ${purpose}" => { function = name, purpose = purpose, role = role }
    }
  ]...)

  bucket = google_storage_bucket.dss[each.value.purpose].name
  role   = each.value.role
  member = google_service_account.function[each.value.function].member
}

# The function that mails how checkouts ended.
resource "google_secret_manager_secret_iam_member" "function" {
  for_each = local.mailing_functions

  secret_id = google_secret_manager_secret.smtp_password.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.key].member
}

# Who signs notifications, and who saves and restores subscriptions.
resource "google_secret_manager_secret_iam_member" "subscription_key" {
  for_each = local.signing_functions

  secret_id = google_secret_manager_secret.subscription_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.key].member
}

resource "google_pubsub_topic_iam_member" "function" {
  for_each = merge([
    for name, row in local.functions : {
      for topic in row.publishes_to : "${name} ${topic}" => { function = name, topic = topic }
    }
  ]...)

  topic  = google_pubsub_topic.dss[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = google_service_account.function[each.value.function].member
}
