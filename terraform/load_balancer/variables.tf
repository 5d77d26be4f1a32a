variable "name" {
  type        = string
  description = "Name of all parts of the load balancer."
}

variable "region" {
  type        = string
  description = "Region of the Cloud Run service."
}

variable "service" {
  type        = string
  description = "Name of the Cloud Run service."
}

variable "domain" {
  type        = string
  description = "Host by which clients reach the service; its DNS has to point at the address of the load balancer."
}

variable "requests_per_minute" {
  type        = number
  description = "Requests a minute of one IP address, beyond which the rest is answered by 429."
}

variable "ban_seconds" {
  type        = number
  description = "Seconds for which an address is refused altogether that sends twice as many."
}

variable "unlimited_networks" {
  type        = list(string)
  description = "Networks (as 10.1.0.0/16) whose requests are not counted."
}
