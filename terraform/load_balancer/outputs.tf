output "address" {
  description = "IP address of the load balancer."
  value       = google_compute_global_address.api.address
}
