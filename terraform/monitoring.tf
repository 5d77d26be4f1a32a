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
