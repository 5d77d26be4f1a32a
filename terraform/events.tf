# Object events: from the buckets to Pub/Sub, and from there to the functions.
locals {
  # What the system acts on; a blob that no manifest names is nobody's.
  event_prefixes = ["access/", "bundles/", "collections/", "files/", "groups/", "purges/"]

  # The local stack reads the same file.
  subscriptions = {
    for row in jsondecode(file("${path.module}/../functions/subscriptions.json")) : row.name => row
    if row.function != "explore" || local.has_catalogues
  }

  dead_letters = "dead-letters"

  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "dss" {
  for_each = toset(concat(["bundle-events", local.dead_letters], [for row in local.subscriptions : row.topic]))

  name   = "${local.pubsub_prefix}${each.key}"
  labels = local.labels

  depends_on = [google_project_service.enabled]
}

# From GCS.

data "google_storage_project_service_account" "gcs" {
  depends_on = [google_project_service.enabled]
}

resource "google_pubsub_topic_iam_member" "gcs" {
  topic  = google_pubsub_topic.dss["object-events"].name
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.gcs.member
}

resource "google_storage_notification" "main" {
  for_each = toset(local.event_prefixes)

  bucket             = google_storage_bucket.dss["main"].name
  topic              = google_pubsub_topic.dss["object-events"].id
  object_name_prefix = each.key
  event_types        = ["OBJECT_FINALIZE"]
  # The attributes say all that is needed.
  payload_format    = "NONE"
  custom_attributes = { replica = "gcp" }

  # GCS tests whether it may publish when the notification is created.
  depends_on = [google_pubsub_topic_iam_member.gcs]
}

# From S3.

resource "aws_sns_topic_subscription" "s3_events" {
  topic_arn = module.aws.object_events_topic_arn
  protocol  = "https"
  endpoint  = local.function_urls["s3_events"]
  # The function verifies the envelope's signature.
  raw_message_delivery = false
  # SNS asks the function, which must know the topic by then and be open to it; it does, because the topic comes
  # before the function, and the function before this.
  endpoint_auto_confirms          = true
  confirmation_timeout_in_minutes = 10
  # What the function has refused, or not taken in all of SNS's attempts.
  redrive_policy = jsonencode({ deadLetterTargetArn = module.aws.undelivered_queue.arn })

  depends_on = [time_sleep.invokers]
}

# To the functions.

resource "google_pubsub_subscription" "push" {
  for_each = local.subscriptions

  name                 = "${local.pubsub_prefix}${each.key}"
  topic                = google_pubsub_topic.dss[each.value.topic].id
  ack_deadline_seconds = each.value.ack_deadline_seconds
  # Pub/Sub: 31 days at most. A message stays three days longer than it is tried: should the function not answer at
  # all for so long, an alert comes before anything is lost.
  message_retention_duration = "${max(7 * 24 * 60 * 60, each.value.give_up_after_seconds + 3 * 24 * 60 * 60)}s"
  labels                     = local.labels
  # What the function would only acknowledge is not pushed. Pub/Sub: a filter is for ever, so that another one makes
  # another subscription; the sweep publishes again what waited in the old one.
  # https://cloud.google.com/pubsub/docs/subscription-message-filter
  filter = try(join(" OR ", [for prefix in each.value.object_prefixes : "hasPrefix(attributes.objectId, \"${prefix}\")"]), null)

  push_config {
    push_endpoint = local.function_urls[each.value.function]

    oidc_token {
      service_account_email = google_service_account.caller["pubsub"].email
      audience              = local.function_urls[each.value.function]
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.minimum_backoff_seconds}s"
    maximum_backoff = "${each.value.maximum_backoff_seconds}s"
  }

  # Without dead_letter_policy: functions/push.py makes dead letters itself, with their reasons, by the age of a
  # message. Pub/Sub would count pushes that no instance has room for (429): in a backlog of some hours it would give
  # up what was never tried. https://cloud.google.com/pubsub/docs/handling-failures

  # Never: Pub/Sub deletes a subscription that nothing was sent to for a month.
  expiration_policy {
    ttl = ""
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.invoker,
    google_service_account_iam_member.pubsub_mints_tokens,
  ]
}

resource "google_service_account_iam_member" "pubsub_mints_tokens" {
  service_account_id = google_service_account.caller["pubsub"].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.pubsub_agent

  depends_on = [google_project_service.enabled]
}

# What could not be done: for `dss admin dead-letters`, and for the alert of monitoring.tf.

resource "google_pubsub_subscription" "dead_letters" {
  name  = "${local.pubsub_prefix}${local.dead_letters}"
  topic = google_pubsub_topic.dss[local.dead_letters].id
  # Pub/Sub: 31 days at most.
  message_retention_duration = "${31 * 24 * 60 * 60}s"
  ack_deadline_seconds       = 60
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}
