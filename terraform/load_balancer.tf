module "load_balancer" {
  source   = "./load_balancer"
  for_each = toset(var.load_balancer == null ? [] : ["api"])

  name                = local.api_name
  region              = var.region
  service             = google_cloud_run_v2_service.api.name
  domain              = trimprefix(local.api_public_url, "https://")
  requests_per_minute = var.load_balancer.requests_per_minute
  ban_seconds         = var.load_balancer.ban_seconds
  unlimited_networks  = var.unlimited_networks
}
