# What the API promises, and alerts on how fast it uses up what it may fail.
locals {
  docs_url = trimsuffix(var.docs_url, "/")

  # Of all requests in 28 days, the share that has to be good.
  slos = {
    availability = {
      title   = "${local.title}: requests that are not answered 5xx"
      goal    = 0.999
      runbook = "api-errors"
    }
    latency = {
      title   = "${local.title}: requests that are answered within 5 s"
      goal    = 0.99
      runbook = "api-slow"
    }
  }
  slo_seconds = 5

  # How many times faster than the promise allows, over a long time and still now. 14.4 uses up 2 % of the 28 days
  # in an hour, 6 uses up 5 % in six: https://sre.google/workbook/alerting-on-slos/, chapter 6.
  burn_rates = {
    fast = { rate = 14.4, long = "60m", short = "5m" }
    slow = { rate = 6, long = "360m", short = "30m" }
  }
  burn_alerts = merge([
    for name, slo in local.slos : {
      for speed, row in local.burn_rates : "${name}_${speed}" => merge(row, { slo = name, speed = speed })
    }
  ]...)
}

resource "google_monitoring_custom_service" "api" {
  service_id   = local.api_name
  display_name = "${local.title} API"

  depends_on = [google_project_service.enabled]
}

resource "google_monitoring_slo" "availability" {
  service             = google_monitoring_custom_service.api.service_id
  slo_id              = "availability"
  display_name        = local.slos.availability.title
  goal                = local.slos.availability.goal
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      bad_service_filter   = "${local.api_requests_filter} AND metric.labels.response_code_class=\"5xx\""
      total_service_filter = local.api_requests_filter
    }
  }
}

resource "google_monitoring_slo" "latency" {
  service             = google_monitoring_custom_service.api.service_id
  slo_id              = "latency"
  display_name        = local.slos.latency.title
  goal                = local.slos.latency.goal
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = join(" AND ", [
        "metric.type=\"run.googleapis.com/request_latencies\"",
        "resource.type=\"cloud_run_revision\"",
        "resource.labels.service_name=\"${local.api_name}\"",
      ])
      range {
        # Milliseconds.
        max = local.slo_seconds * 1000
      }
    }
  }
}

resource "google_monitoring_alert_policy" "burn_rate" {
  for_each = local.burn_alerts

  display_name          = "${local.slos[each.value.slo].title}: too few, ${each.value.speed} burn"
  combiner              = "AND"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  documentation {
    content = join("", [
      "The API fails ${each.value.rate} times as often as it may (${(1 - local.slos[each.value.slo].goal) * 100} % in 28 days).",
      "\n\nWhat to do: ${local.docs_url}/runbooks/${local.slos[each.value.slo].runbook}.md",
    ])
    mime_type = "text/markdown"
  }

  dynamic "conditions" {
    # The long time says that it matters, the short one that it is not over.
    for_each = [each.value.long, each.value.short]
    content {
      display_name = "over ${conditions.value}"

      condition_threshold {
        filter = format("select_slo_burn_rate(\"projects/%s/services/%s/serviceLevelObjectives/%s\", \"%s\")",
          var.project_id, google_monitoring_custom_service.api.service_id, each.value.slo, conditions.value
        )
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"
      }
    }
  }

  depends_on = [google_monitoring_slo.availability, google_monitoring_slo.latency]
}
