locals {
  # Functions that are called by the clock: name, and when (cron, UTC).
  schedules = {
    compact = "*/5 * * * *"
    sweep   = "*/5 * * * *"
  }
}

resource "google_cloud_scheduler_job" "dss" {
  for_each = local.schedules

  name        = local.function_names[each.key]
  region      = var.region
  description = local.functions[each.key].summary
  schedule    = each.value
  time_zone   = "Etc/UTC"
  # Cloud Scheduler waits 1,800 s at most.
  attempt_deadline = "${local.functions[each.key].timeout_seconds}s"

  http_target {
    http_method = "POST"
    uri         = local.function_urls[each.key]

    oidc_token {
      service_account_email = google_service_account.caller["scheduler"].email
      audience              = local.function_urls[each.key]
    }
  }

  # The next one comes soon.
  retry_config {
    retry_count = 0
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}
