# Whether the API, Firestore and the buckets of both clouds answer, as seen from outside.
resource "google_monitoring_uptime_check_config" "health" {
  display_name = "DSS health"
  period       = "300s"
  timeout      = "10s"

  http_check {
    path         = "/internal/health"
    port         = 443
    use_ssl      = true
    validate_ssl = true

    accepted_response_status_codes {
      status_value = 200
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      host       = trimprefix(local.api_run_url, "https://")
      project_id = var.project_id
    }
  }

  depends_on = [google_project_service.enabled, google_cloud_run_v2_service.api]
}

# What the sweep measures and logs (functions/sweep.py), by replica.
locals {
  backlogs = {
    replication = { message = "replication backlog", what = "object that a replica lacks" }
    events      = { message = "event backlog", what = "object that a replica has, and whose event is not published there" }
    journals    = { message = "journal backlog", what = "event that is in no journal of many" }
  }
  backlog_metrics = merge([
    for name, backlog in local.backlogs : {
      "${name}_oldest_seconds" = {
        message = backlog.message, field = "oldest_seconds", unit = "s", says = "Age of the oldest ${backlog.what}, in seconds."
      }
      "${name}_objects" = {
        message = backlog.message, field = "objects", unit = "1", says = "How many there are: ${backlog.what}."
      }
    }
  ]...)
}

resource "google_logging_metric" "backlog" {
  for_each = local.backlog_metrics

  name        = "dss/${each.key}"
  description = each.value.says
  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${local.function_names["sweep"]}\"",
    "jsonPayload.message=\"${each.value.message}\"",
  ])
  value_extractor  = "EXTRACT(jsonPayload.${each.value.field})"
  label_extractors = { replica = "EXTRACT(jsonPayload.replica)" }

  # A metric made of logs counts, or is a distribution: there are no gauges.
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit

    labels {
      key         = "replica"
      value_type  = "STRING"
      description = "The replica that is behind."
    }
  }

  # A tenth of precision, up to 190 million: a percentile is read off these buckets.
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 200
      growth_factor      = 1.1
      scale              = 1
    }
  }

  depends_on = [google_project_service.enabled]
}

moved {
  from = google_logging_metric.backlog["oldest_seconds"]
  to   = google_logging_metric.backlog["replication_oldest_seconds"]
}

moved {
  from = google_logging_metric.backlog["objects"]
  to   = google_logging_metric.backlog["replication_objects"]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  display_name = "DSS: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.enabled]
}

locals {
  oldest_seconds_filters = {
    for name in keys(local.backlogs) : name => join(" AND ", [
      "metric.type=\"logging.googleapis.com/user/${google_logging_metric.backlog["${name}_oldest_seconds"].name}\"",
      "resource.type=\"cloud_run_revision\"",
    ])
  }
  pushes_filter = join(" AND ", [
    "metric.type=\"pubsub.googleapis.com/subscription/push_request_count\"",
    "resource.type=\"pubsub_subscription\"",
    # There, pushes fail because subscribers do.
    "resource.labels.subscription_id!=\"${google_pubsub_subscription.push["delivery-retries"].name}\"",
  ])

  alerts = {
    dead_letters = {
      title = "DSS: dead letters"
      says  = "Something could not be done, often enough that nobody tries any more. `dss admin dead-letters list` says what and why; `dss admin dead-letters replay` has it tried again."
      filter = join(" AND ", [
        "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\"",
        "resource.type=\"pubsub_subscription\"",
        "resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\"",
      ])
      out_of       = null
      aligner      = "ALIGN_MAX"
      period       = 60
      reducer      = null
      group_by     = null
      above        = 0
      for_seconds  = 0
      silent_after = null
    }
    replication_age = {
      title        = "DSS: replication lags"
      says         = "A replica has lacked an object for more than ${var.replication_alert_seconds} s, or the sweep has measured nothing for half an hour. `dss admin replication` shows the backlog; the logs of dss-sync say what fails."
      filter       = local.oldest_seconds_filters["replication"]
      out_of       = null
      aligner      = "ALIGN_PERCENTILE_99"
      period       = 600
      reducer      = null
      group_by     = null
      above        = var.replication_alert_seconds
      for_seconds  = 0
      silent_after = 1800
    }
    event_age = {
      title        = "DSS: events are not published"
      says         = "The event of a bundle or tombstone that a replica has is not published for more than ${var.event_alert_seconds} s. `dss admin replication` shows how many there are; the logs of dss-index have the errors, and `dss admin dead-letters list` the events that are not retried any more. If replication lags as well, that may be the only cause: the age counts from the write on the first replica."
      filter       = local.oldest_seconds_filters["events"]
      out_of       = null
      aligner      = "ALIGN_PERCENTILE_99"
      period       = 600
      reducer      = null
      group_by     = null
      above        = var.event_alert_seconds
      for_seconds  = 0
      silent_after = null
    }
    journal_age = {
      title    = "DSS: no journals are made"
      says     = "An event has been in no journal of many for six hours longer than it should be. The logs of dss-compact say what fails; where a metadata document is lost or wrong, `dss admin audit --repair` makes it again. Events are to be read all the same, one by one."
      filter   = local.oldest_seconds_filters["journals"]
      out_of   = null
      aligner  = "ALIGN_PERCENTILE_99"
      period   = 600
      reducer  = null
      group_by = null
      # shared/config.py, DSS_JOURNAL_SECONDS: a day.
      above        = 24 * 60 * 60 + 6 * 60 * 60
      for_seconds  = 0
      silent_after = null
    }
    # Whatever is so old should have been given up, and have become a dead letter.
    deliveries_stay = {
      title = "DSS: deliveries are neither made nor given up"
      says  = "A notification has waited for more than a week, so the function dss-redeliver does not answer. Its logs say why. Notifications are lost when they are ten days old."
      filter = join(" AND ", [
        "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"",
        "resource.type=\"pubsub_subscription\"",
        "resource.labels.subscription_id=\"${google_pubsub_subscription.push["delivery-retries"].name}\"",
      ])
      out_of       = null
      aligner      = "ALIGN_MAX"
      period       = 600
      reducer      = null
      group_by     = null
      above        = local.subscriptions["delivery-retries"].give_up_after_seconds + 6 * 60 * 60
      for_seconds  = 0
      silent_after = null
    }
    # An answer of 503 is how a function asks to be called again, and nothing unusual by itself.
    pushes_fail = {
      title        = "DSS: pushes fail"
      says         = "For half an hour, most of what Pub/Sub pushes has failed: answered 5xx or 4xx, not at all, or too late. The logs of the function that the subscription names say why."
      filter       = "${local.pushes_filter} AND metric.labels.response_class!=\"ack\""
      out_of       = local.pushes_filter
      aligner      = "ALIGN_DELTA"
      period       = 600
      reducer      = "REDUCE_SUM"
      group_by     = ["resource.label.subscription_id"]
      above        = 0.5
      for_seconds  = 1800
      silent_after = null
    }
  }
}

resource "google_monitoring_alert_policy" "dss" {
  for_each = local.alerts

  display_name          = each.value.title
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  documentation {
    content   = each.value.says
    mime_type = "text/markdown"
  }

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter             = each.value.filter
      denominator_filter = each.value.out_of
      comparison         = "COMPARISON_GT"
      threshold_value    = each.value.above
      duration           = "${each.value.for_seconds}s"

      aggregations {
        alignment_period     = "${each.value.period}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }

      dynamic "denominator_aggregations" {
        for_each = each.value.out_of[*]
        content {
          alignment_period     = "${each.value.period}s"
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
          group_by_fields      = each.value.group_by
        }
      }
    }
  }

  dynamic "conditions" {
    for_each = each.value.silent_after[*]
    content {
      display_name = "${each.value.title}: nobody measures"

      condition_absent {
        filter   = each.value.filter
        duration = "${conditions.value}s"

        aggregations {
          alignment_period   = "${each.value.period}s"
          per_series_aligner = each.value.aligner
        }
      }
    }
  }
}
