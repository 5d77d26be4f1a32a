variable "prefix" {
  type        = string
  description = "What the names of roles, topic and trail begin with."
}

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

variable "repair_operator_arns" {
  type        = list(string)
  description = "ARNs of principals who assume the role of operators who repair."
}

variable "checkout_reader_arns" {
  type        = list(string)
  description = "ARNs of principals who may read the checkout bucket."
}

variable "sources" {
  type        = list(string)
  description = "Beside staging, what source objects are read from: bucket, bucket/prefix/ or bucket/key; * stands for any characters."
}

variable "cors_origins" {
  type        = list(string)
  description = "Origins whose pages may read what signed URLs lead to; * is any."
}

variable "permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds what the roles can do; null is no bound."
}

variable "google_audience" {
  type        = string
  description = "Audience of the Google identity tokens with which roles are assumed."
}

variable "audit_log_days" {
  type        = number
  description = "Days for which it is kept who read and wrote objects of the main bucket."
}

variable "audit_log_locked" {
  type        = bool
  description = "Whether nobody, the account's root included, can delete that earlier."
}

variable "event_prefixes" {
  type        = list(string)
  description = "Prefixes of the keys of those objects in the main bucket that have events."
}

variable "roles" {
  type = map(object({
    service_account_id    = string
    service_account_email = string
    reads                 = list(string) # Purposes of buckets.
    reads_sources         = bool         # Also sources.
    creates               = list(string) # Purposes of buckets.
    aborts                = list(string) # Purposes of buckets whose unfinished uploads are found and aborted.
    removes               = list(string) # Purposes of buckets, or folders of them: "main/blobs".
    erases                = optional(list(string), [])
    checks_out            = bool # Into buckets of other AWS accounts, too.
    reads_proofs          = bool # In buckets of other AWS accounts: that their owners allow checkouts.
  }))
  description = "By component: the Google service account that assumes its role, by unique id and e-mail, and what it may do."
}
