variable "project_id" {
  type        = string
  description = "Google Cloud project for deployments of the DSS, and nothing else."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id is 6 to 30 lower-case letters, digits and dashes, and begins with a letter."
  }
}

variable "region" {
  type        = string
  description = "Google Cloud region of the state, the images and the builds."
  default     = "us-east1"
}

variable "aws_region" {
  type        = string
  description = "AWS region in which Terraform works; what is made here is global."
  default     = "us-east-1"
}

variable "bucket_prefix" {
  type        = string
  description = "What the names of the deployments' buckets begin with. PROJECT-dss when null."
  default     = null
}

variable "options" {
  type        = set(string)
  description = "Optional parts that deployments may have: postgresql, load_balancer. Each needs more roles."
  default     = []

  validation {
    condition     = length(setsubtract(var.options, ["postgresql", "load_balancer"])) == 0
    error_message = "Of postgresql and load_balancer."
  }
}

variable "repository" {
  type        = string
  description = "Repository of which each commit on `branch` is planned: projects/P/locations/R/connections/C/repositories/N of Cloud Build. None when null."
  default     = null

  validation {
    condition     = var.repository == null || can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.repository))
    error_message = "projects/P/locations/R/connections/C/repositories/N; connect it in Cloud Build first."
  }
}

variable "branch" {
  type        = string
  description = "Regular expression of the branch whose commits are planned."
  default     = "^main$"
}

variable "billing_account" {
  type        = string
  description = "Billing account that gets a budget for the project, as 012345-6789AB-CDEF01. None when null."
  default     = null

  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "Three times six hexadecimal digits, with dashes between."
  }
}

variable "monthly_budget" {
  type        = number
  description = "What the project may cost in a month before its billing account's administrators are told, in the account's currency."
  default     = 1000

  validation {
    condition     = var.monthly_budget >= 1 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "A whole number, at least 1."
  }
}
