# A global load balancer in front of the API, with Cloud Armor: floods end before they reach an instance. The API
# limits each caller by what it costs (run/api/limits.py); this limits each address by the number of its requests.

resource "google_project_service" "compute" {
  service            = "compute.googleapis.com"
  disable_on_destroy = false
}

resource "google_compute_global_address" "api" {
  name = var.name

  depends_on = [google_project_service.compute]
}

# No preconfigured rules against attacks: bodies are JSON with queries, names and URLs, which those rules take for
# attacks, and the API builds neither SQL nor pages from them.
resource "google_compute_security_policy" "api" {
  name        = var.name
  description = "Limits the requests of each address."

  # Cloud Armor: at most ten networks in a rule.
  dynamic "rule" {
    for_each = { for number, networks in chunklist(var.unlimited_networks, 10) : 100 + number => networks }
    content {
      description = "Unlimited networks"
      priority    = rule.key
      action      = "allow"
      match {
        versioned_expr = "SRC_IPS_V1"
        config {
          src_ip_ranges = rule.value
        }
      }
    }
  }

  rule {
    description = "Limit of each address"
    priority    = 1000
    action      = "rate_based_ban"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      enforce_on_key   = "IP"
      conform_action   = "allow"
      exceed_action    = "deny(429)"
      ban_duration_sec = var.ban_seconds
      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
      ban_threshold {
        count        = 2 * var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  # Every policy has this rule, which counts last.
  rule {
    description = "Default"
    priority    = 2147483647
    action      = "allow"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.compute]
}

resource "google_compute_region_network_endpoint_group" "api" {
  name                  = var.name
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.service
  }

  depends_on = [google_project_service.compute]
}

resource "google_compute_backend_service" "api" {
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.api.id

  backend {
    group = google_compute_region_network_endpoint_group.api.id
  }

  # Cloud Armor logs here what it refuses.
  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_url_map" "api" {
  name            = var.name
  default_service = google_compute_backend_service.api.id
}

resource "google_compute_managed_ssl_certificate" "api" {
  name = var.name

  managed {
    domains = [var.domain]
  }

  depends_on = [google_project_service.compute]
}

resource "google_compute_ssl_policy" "api" {
  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.compute]
}

resource "google_compute_target_https_proxy" "api" {
  name             = var.name
  url_map          = google_compute_url_map.api.id
  ssl_certificates = [google_compute_managed_ssl_certificate.api.id]
  ssl_policy       = google_compute_ssl_policy.api.id
}

# Of HTTPS only: a token that is sent by HTTP is lost already.
resource "google_compute_global_forwarding_rule" "api" {
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.api.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.api.id
}
