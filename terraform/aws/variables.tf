variable "bucket_prefix" {
  type        = string
  description = "What the names of the buckets begin with."
}

variable "staging_ttl_days" {
  type        = number
  description = "Days after which an object in the staging bucket is deleted."
}

variable "checkout_ttl_days" {
  type        = number
  description = "Days after which an object in the checkout bucket is deleted."
}

variable "staging_writer_arns" {
  type        = list(string)
  description = "ARNs of principals who may put objects into the staging bucket."
}

variable "checkout_reader_arns" {
  type        = list(string)
  description = "ARNs of principals who may read the checkout bucket."
}

variable "source_buckets" {
  type        = list(string)
  description = "Names of further buckets that the API may read source objects from."
}

variable "google_audience" {
  type        = string
  description = "Audience of the Google identity tokens with which roles are assumed."
}

variable "api_service_account_id" {
  type        = string
  description = "Unique id (a number) of the API's Google service account."
}

variable "api_service_account_email" {
  type        = string
  description = "E-mail of the API's Google service account."
}
