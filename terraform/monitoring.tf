# Whether the API, Firestore and the buckets of both clouds answer, as seen from outside.
resource "google_monitoring_uptime_check_config" "health" {
  # Nobody outside reaches a private API.
  for_each = toset(var.private ? [] : ["api"])

  display_name = "${local.title} health"
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
      host       = trimprefix(local.behind_load_balancer ? local.api_public_url : local.api_run_url, "https://")
      project_id = var.project_id
    }
  }

  depends_on = [google_project_service.enabled, google_cloud_run_v2_service.api]
}

# What the sweep measures and logs (functions/sweep.py), by replica.
locals {
  backlogs = merge(local.catalogue_backlogs, {
    replication = { message = "replication backlog", what = "object that a replica lacks" }
    events      = { message = "event backlog", what = "object that a replica has, and whose event is not published there" }
    journals    = { message = "journal backlog", what = "event that is in no journal of many" }
  })
  catalogue_backlogs = { for name, row in {
    catalogues = { message = "catalogue backlog", what = "event that a catalogue has not followed" }
  } : name => row if local.has_catalogues }
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

  name        = "${local.prefix}/${each.key}"
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

# Runs that have found something, which the function `administer` logs (shared/jobs/steps.py).
resource "google_logging_metric" "run_problems" {
  name        = "${local.prefix}/run_problems"
  description = "Runs that have found something that an operator has to look at."
  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${local.function_names["administer"]}\"",
    "jsonPayload.message=\"run has found problems\"",
  ])
  label_extractors = { kind = "EXTRACT(jsonPayload.kind)" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    labels {
      key         = "kind"
      value_type  = "STRING"
      description = "What the run has done, as audit."
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

  display_name = "${local.title}: ${each.key}"
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
    # Not delivery-retries: there, pushes fail because subscribers do.
    "resource.labels.subscription_id=one_of(${join(",", [
      for name in keys(local.subscriptions) : "\"${google_pubsub_subscription.push[name].name}\"" if name != "delivery-retries"
    ])})",
  ])

  api_requests_filter = join(" AND ", [
    "metric.type=\"run.googleapis.com/request_count\"",
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${local.api_name}\"",
  ])
  # Of those that may have more than one.
  largest_counts = merge(
    { (local.api_name) = var.api_max_instances },
    { for name, row in local.functions : local.function_names[name] => row.max_instances if row.max_instances > 1 },
  )

  # What to do, by alert: docs/runbooks/.
  runbooks = {
    for name in keys(local.alerts) : name => startswith(name, "instances_") ? "instances" : replace(name, "_", "-")
  }

  alerts = merge(local.reachability_alerts, local.service_alerts, local.instance_alerts, local.catalogue_alerts, {
    # What it cannot do fails, and is tried again: the quota, or what uses it, is to be changed in time.
    quota = {
      title = "${local.title}: a quota is used up"
      says  = "Google Cloud has refused calls of this project because a quota is used up; the alert names it."
      filter = join(" AND ", [
        "metric.type=\"serviceruntime.googleapis.com/quota/exceeded\"",
        "resource.type=\"consumer_quota\"",
      ])
      out_of       = null
      aligner      = "ALIGN_COUNT_TRUE"
      period       = 300
      reducer      = "REDUCE_SUM"
      group_by     = ["metric.label.quota_metric"]
      above        = 0
      for_seconds  = 0
      silent_after = null
    }
    run_problems = {
      title = "${local.title}: a check has found something"
      says  = "A run, as of an audit or of a check of the index, has found something that an operator has to look at."
      filter = join(" AND ", [
        "metric.type=\"logging.googleapis.com/user/${google_logging_metric.run_problems.name}\"",
        "resource.type=\"cloud_run_revision\"",
      ])
      out_of       = null
      aligner      = "ALIGN_DELTA"
      period       = 300
      reducer      = "REDUCE_SUM"
      group_by     = ["metric.label.kind"]
      above        = 0
      for_seconds  = 0
      silent_after = null
    }
    dead_letters = {
      title = "${local.title}: dead letters"
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
      title        = "${local.title}: replication lags"
      says         = "A replica has lacked an object for more than ${var.replication_alert_seconds} s, or the sweep has measured nothing for half an hour. `dss admin replication` shows the backlog; the logs of ${local.function_names["sync"]} say what fails."
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
      title        = "${local.title}: events are not published"
      says         = "The event of a bundle or tombstone that a replica has is not published for more than ${var.event_alert_seconds} s. `dss admin replication` shows how many there are; the logs of ${local.function_names["index"]} have the errors, and `dss admin dead-letters list` the events that are not retried any more. If replication lags as well, that may be the only cause: the age counts from the write on the first replica."
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
      title    = "${local.title}: no journals are made"
      says     = "An event has been in no journal of many for six hours longer than it should be. The logs of ${local.function_names["compact"]} say what fails; where a metadata document is lost or wrong, `dss admin audit --repair` makes it again. Events are to be read all the same, one by one."
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
    # A message that is so old should have been given up, and have become a dead letter.
    deliveries_stay = {
      title = "${local.title}: deliveries are neither made nor given up"
      says  = "A notification has waited for more than a week, so the function ${local.function_names["redeliver"]} does not answer. Its logs say why. Notifications are lost when they are ten days old."
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
      title        = "${local.title}: pushes fail"
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
  })

  catalogue_alerts = { for name, row in {
    catalogue_age = {
      title        = "${local.title}: a catalogue lags"
      says         = "A catalogue has not followed an event for more than ${var.event_alert_seconds} s. `dss admin explore status` shows how many there are; the logs of ${lookup(local.function_names, "explore", "")} have the errors, and `dss admin dead-letters list --subscription explore` what is not retried any more. A catalogue that is new needs `dss admin explore reindex`."
      filter       = lookup(local.oldest_seconds_filters, "catalogues", "")
      out_of       = null
      aligner      = "ALIGN_PERCENTILE_99"
      period       = 600
      reducer      = null
      group_by     = null
      above        = var.event_alert_seconds
      for_seconds  = 0
      silent_after = 1800
    }
    changes_stay = {
      title = "${local.title}: catalogues do not follow changes"
      says  = "That others may read a bundle, or that it is withheld, has waited for more than ${var.event_alert_seconds} s. Until then those find it who might before; its content is not theirs. The logs of ${lookup(local.function_names, "explore", "")} say what fails."
      filter = join(" AND ", [
        "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"",
        "resource.type=\"pubsub_subscription\"",
        "resource.labels.subscription_id=\"${try(google_pubsub_subscription.push[local.changes].name, "")}\"",
      ])
      out_of       = null
      aligner      = "ALIGN_MAX"
      period       = 600
      reducer      = null
      group_by     = null
      above        = var.event_alert_seconds
      for_seconds  = 0
      silent_after = null
    }
  } : name => row if local.has_catalogues }

  reachability_alerts = { for name, row in {
    api_down = {
      title = "${local.title}: the API does not answer"
      says  = "From at least two places in the world, `/internal/health` of the API does not answer 200. It names what does not: Firestore, or the buckets of a cloud; reads of the other cloud's replica go on. If it answers nothing at all, see the logs and revisions of the service ${local.api_name}."
      filter = join(" AND ", [
        "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\"",
        "resource.type=\"uptime_url\"",
        "metric.labels.check_id=\"${join("", [for check in google_monitoring_uptime_check_config.health : check.uptime_check_id])}\"",
      ])
      out_of       = null
      aligner      = "ALIGN_NEXT_OLDER"
      period       = 600
      reducer      = "REDUCE_COUNT_FALSE"
      group_by     = ["resource.label.host"]
      above        = 1
      for_seconds  = 300
      silent_after = null
    }
  } : name => row if !var.private }

  service_alerts = {
    api_errors = {
      title        = "${local.title}: the API answers with errors"
      says         = "For ten minutes, more than one of twenty requests to the API has been answered 5xx. Its logs have a line for each, with the request id and the reason; a 500 has a traceback."
      filter       = "${local.api_requests_filter} AND metric.labels.response_code_class=\"5xx\""
      out_of       = local.api_requests_filter
      aligner      = "ALIGN_DELTA"
      period       = 300
      reducer      = "REDUCE_SUM"
      group_by     = ["resource.label.service_name"]
      above        = 0.05
      for_seconds  = 600
      silent_after = null
    }
    api_slow = {
      title = "${local.title}: the API is slow"
      says  = "For a quarter of an hour, one of a hundred requests to the API has taken longer than 20 s; clients give up after 40. The logs have the time of each request; if instances are at their maximum, raise `api_max_instances`."
      filter = join(" AND ", [
        "metric.type=\"run.googleapis.com/request_latencies\"",
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=\"${local.api_name}\"",
      ])
      out_of   = null
      aligner  = "ALIGN_PERCENTILE_99"
      period   = 300
      reducer  = "REDUCE_MAX"
      group_by = ["resource.label.service_name"]
      # Milliseconds.
      above        = 20000
      for_seconds  = 900
      silent_after = null
    }
    # One or two come from users: a checkout into a bucket that refuses it, say.
    workflows_fail = {
      title = "${local.title}: workflows fail"
      says  = "More than five executions of a workflow have failed within an hour. `gcloud workflows executions list` shows them with their errors; the logs of ${local.function_names["copy"]}, ${local.function_names["checkout"]}, ${local.function_names["importer"]} and ${local.function_names["administer"]} say more."
      filter = join(" AND ", [
        "metric.type=\"workflows.googleapis.com/finished_execution_count\"",
        "resource.type=\"workflows.googleapis.com/Workflow\"",
        "resource.labels.workflow_id=one_of(${join(",", [for row in google_workflows_workflow.dss : "\"${row.name}\""])})",
        "metric.labels.status=\"FAILED\"",
      ])
      out_of       = null
      aligner      = "ALIGN_DELTA"
      period       = 3600
      reducer      = "REDUCE_SUM"
      group_by     = ["resource.label.workflow_id"]
      above        = 5
      for_seconds  = 0
      silent_after = null
    }
    schedules_fail = {
      title = "${local.title}: scheduled jobs fail"
      says  = "For half an hour, Cloud Scheduler has logged errors for a job: the function that it calls, ${local.function_names["sweep"]} or ${local.function_names["compact"]}, fails or does not answer. The logs of the function say why."
      filter = join(" AND ", [
        "metric.type=\"logging.googleapis.com/log_entry_count\"",
        "resource.type=\"cloud_scheduler_job\"",
        "resource.labels.job_id=one_of(${join(",", [for row in google_cloud_scheduler_job.dss : "\"${row.name}\""])})",
        "metric.labels.severity=\"ERROR\"",
      ])
      out_of       = null
      aligner      = "ALIGN_DELTA"
      period       = 600
      reducer      = "REDUCE_SUM"
      group_by     = ["resource.label.job_id"]
      above        = 0
      for_seconds  = 1800
      silent_after = null
    }
  }

  instance_alerts = {
    for service, largest in local.largest_counts : "instances_${service}" => {
      title = "${local.title}: ${service} has no instance left"
      says  = "For half an hour, as many instances of ${service} have run as its `max_instances` allows, so calls wait. It is behind, or something that it calls is slow; raise the variable in terraform/variables.tf if the quota of the project allows it."
      filter = join(" AND ", [
        "metric.type=\"run.googleapis.com/container/instance_count\"",
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=\"${service}\"",
        "metric.labels.state=\"active\"",
      ])
      out_of       = null
      aligner      = "ALIGN_MEAN"
      period       = 300
      reducer      = "REDUCE_SUM"
      group_by     = ["resource.label.service_name"]
      above        = largest - 0.5
      for_seconds  = 1800
      silent_after = null
    }
  }
}

resource "google_monitoring_alert_policy" "dss" {
  for_each = local.alerts

  display_name          = each.value.title
  combiner              = "OR"
  depends_on            = [time_sleep.metrics]
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  documentation {
    content   = "${each.value.says}\n\nWhat to do: ${local.docs_url}/runbooks/${local.runbooks[each.key]}.md"
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
