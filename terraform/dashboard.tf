# One page with all that docs/metrics.md names: what waits, what the API does, what fails.
locals {
  charts = concat(
    [
      for name in sort(keys(local.backlog_metrics)) : {
        title    = local.backlog_metrics[name].says
        filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.backlog[name].name}\" AND resource.type=\"cloud_run_revision\""
        aligner  = "ALIGN_PERCENTILE_99"
        reducer  = "REDUCE_MAX"
        group_by = ["metric.label.replica"]
      }
    ],
    [
      {
        title    = "Requests to the API by class of answer"
        filter   = local.api_requests_filter
        aligner  = "ALIGN_RATE"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.response_code_class"]
      },
      {
        title    = "Time of the API's answers, 99th percentile, ms"
        filter   = local.alerts.api_slow.filter
        aligner  = "ALIGN_PERCENTILE_99"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.service_name"]
      },
      {
        title    = "Instances at work"
        filter   = "metric.type=\"run.googleapis.com/container/instance_count\" AND resource.type=\"cloud_run_revision\" AND metric.labels.state=\"active\" AND resource.labels.service_name=starts_with(\"${local.prefix}-\")"
        aligner  = "ALIGN_MEAN"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.service_name"]
      },
      {
        title    = "Dead letters"
        filter   = local.alerts.dead_letters.filter
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      },
      {
        title    = "Age of the oldest message that waits, s"
        filter   = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\""
        aligner  = "ALIGN_MAX"
        reducer  = "REDUCE_MAX"
        group_by = ["resource.label.subscription_id"]
      },
      {
        title    = "Pushes by class of answer"
        filter   = local.pushes_filter
        aligner  = "ALIGN_RATE"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.subscription_id", "metric.label.response_class"]
      },
      {
        title    = "Workflows that have ended, by status"
        filter   = "metric.type=\"workflows.googleapis.com/finished_execution_count\" AND resource.type=\"workflows.googleapis.com/Workflow\""
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.workflow_id", "metric.label.status"]
      },
      {
        title    = "Errors of scheduled jobs"
        filter   = local.alerts.schedules_fail.filter
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["resource.label.job_id"]
      },
      {
        title    = "Checks that have found something"
        filter   = local.alerts.run_problems.filter
        aligner  = "ALIGN_DELTA"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.kind"]
      },
      {
        title    = "Quotas that are used up"
        filter   = local.alerts.quota.filter
        aligner  = "ALIGN_COUNT_TRUE"
        reducer  = "REDUCE_SUM"
        group_by = ["metric.label.quota_metric"]
      },
    ],
    [
      for check in google_monitoring_uptime_check_config.health : {
        title    = "Health, from places in the world"
        filter   = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\""
        aligner  = "ALIGN_FRACTION_TRUE"
        reducer  = "REDUCE_MEAN"
        group_by = ["resource.label.host"]
      }
    ],
  )
}

resource "google_monitoring_dashboard" "dss" {
  dashboard_json = jsonencode({
    displayName = local.title
    mosaicLayout = {
      columns = 48
      tiles = [
        for index, chart in local.charts : {
          xPos   = index % 2 * 24
          yPos   = floor(index / 2) * 12
          width  = 24
          height = 12
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "300s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.group_by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [time_sleep.metrics]
}
