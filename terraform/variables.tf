variable "project_id" {
  type        = string
  description = "Google Cloud project that holds the whole system, and nothing else."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "A project id is 6 to 30 lower-case letters, digits and dashes, and begins with a letter."
  }
}

variable "stage" {
  type        = string
  description = "Name of this deployment beside others in the same project or AWS account (dev, say); it is in all names. Empty: none."
  default     = ""

  validation {
    # A service account has 30 characters at most: dss-STAGE-administer.
    condition     = can(regex("^([a-z][a-z0-9]{0,9})?$", var.stage))
    error_message = "At most 10 lower-case letters and digits, and a letter first."
  }
}

variable "region" {
  type        = string
  description = "Google Cloud region of Cloud Run and Artifact Registry, and by default of buckets and Firestore."
  default     = "us-east1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like us-east1."
  }
}

variable "storage_location" {
  type        = string
  description = "Location of all GCS buckets: a region, dual-region or multi-region. The region when null."
  default     = null
}

variable "storage_class" {
  type        = string
  description = "Storage class of all GCS buckets."
  default     = "STANDARD"

  validation {
    condition     = contains(["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"], var.storage_class)
    error_message = "One of STANDARD, NEARLINE, COLDLINE, ARCHIVE."
  }
}

variable "firestore_location" {
  type        = string
  description = "Location of Firestore: a region, nam5 or eur3. It can't be changed later. The region when null."
  default     = null
}

variable "firestore_database" {
  type        = string
  description = "Firestore database of the catalog. A backup is restored into a new one, which this then names. (default), or dss-STAGE, when null."
  default     = null

  validation {
    # https://cloud.google.com/firestore/native/docs/manage-databases
    condition     = var.firestore_database == null || var.firestore_database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.firestore_database))
    error_message = "(default), or 4 to 63 lower-case letters, digits and dashes that begin with a letter."
  }
}

variable "bucket_prefix" {
  type        = string
  description = "What the names of all buckets begin with, in both clouds. PROJECT-dss, or PROJECT-dss-STAGE, when null."
  default     = null

  validation {
    # S3 and GCS: a name is at most 63 characters; ours end in -checkout.
    condition     = var.bucket_prefix == null || can(regex("^[a-z0-9][a-z0-9-]{1,52}[a-z0-9]$", var.bucket_prefix))
    error_message = "3 to 54 lower-case letters, digits and dashes."
  }
}

variable "staging_ttl_days" {
  type        = number
  description = "Days after which an object in a staging bucket is deleted."
  default     = 14

  validation {
    condition     = var.staging_ttl_days >= 1 && floor(var.staging_ttl_days) == var.staging_ttl_days
    error_message = "A whole number of days, 1 or more."
  }
}

variable "checkout_ttl_days" {
  type        = number
  description = "Days after its last use at which an object in a checkout bucket is deleted."
  default     = 14

  validation {
    condition     = var.checkout_ttl_days >= 2 && floor(var.checkout_ttl_days) == var.checkout_ttl_days
    error_message = "A whole number of days, 2 or more."
  }
}

variable "report_ttl_days" {
  type        = number
  description = "Days after which the reports of administrative runs, and lists put beside them, are deleted."
  default     = 400

  validation {
    condition     = var.report_ttl_days >= 1 && floor(var.report_ttl_days) == var.report_ttl_days
    error_message = "A whole number of days, 1 or more."
  }
}

variable "checkout_public_ttl_days" {
  type        = number
  description = "Days after its last use that a checkout is handed out as it is, less than checkout_ttl_days; null is half of them."
  default     = null
}

variable "checkout_cache_criteria" {
  type = list(object({
    type     = string # A content type.
    max_size = number # Bytes.
  }))
  description = "What checkout buckets keep for good."
  default     = []
}

variable "smtp" {
  type = object({
    host   = string
    sender = string
    port   = optional(number, 587)
    tls    = optional(string, "starttls") # starttls, tls or none.
    user   = optional(string, "")
    a_day  = optional(number, 20) # Mails that one address gets at most.
  })
  description = "Mail server that tells how checkouts ended; null is none."
  default     = null
}

variable "smtp_password_version" {
  type        = string
  description = "Version of the secret dss-smtp-password, the password of smtp.user; null is none."
  default     = null

  validation {
    condition = (
      var.smtp_password_version == null ||
      can(regex("^([1-9][0-9]*|latest)$", var.smtp_password_version))
    )
    error_message = "A number or \"latest\"."
  }
}

variable "main_soft_delete_days" {
  type        = number
  description = "Days for which GCS keeps what is deleted from the main bucket; 0 keeps nothing."
  default     = 7

  validation {
    # GCS: 0, or 7 to 90 days.
    condition     = var.main_soft_delete_days == 0 || (var.main_soft_delete_days >= 7 && var.main_soft_delete_days <= 90)
    error_message = "0, or 7 to 90."
  }
}

variable "staging_writers" {
  type        = list(string)
  description = "IAM members (user:…, group:…, serviceAccount:…) who may put objects into the GCS staging bucket."
  default     = []
}

variable "operators" {
  type        = list(string)
  description = "IAM members (a group:…, say) who start administrative runs, put lists for them into the reports bucket, read reports, and use the audit log."
  default     = []
}

variable "repair_operators" {
  type        = list(string)
  description = "IAM members (a group:…, say) who are operators, and run every command of `dss admin` on machines of their own: they change the catalog, objects in GCS, and queues."
  default     = []
}

variable "aws_deploy_role_arn" {
  type        = string
  description = "AWS role that a build assumes with its own identity; null for a person, who has credentials."
  default     = null
}

variable "audit_log_days" {
  type        = number
  description = "Days for which the audit log, and data access in both clouds, are kept."
  default     = 400

  validation {
    # Cloud Logging: 1 to 3,650 days.
    condition     = var.audit_log_days >= 1 && var.audit_log_days <= 3650
    error_message = "1 to 3,650."
  }
}

variable "audit_log_locked" {
  type        = bool
  description = "Lock these days for good: nobody can shorten them, delete a line, or delete the log's buckets while they hold one."
  default     = true
}

variable "audits_project" {
  type        = bool
  description = "Whether this deployment switches on the project's logs of data access. Of several stages in one project, one does."
  default     = true
}

variable "checkout_readers" {
  type        = list(string)
  description = "IAM members who may read the GCS checkout bucket."
  default     = []
}

variable "aws_region" {
  type        = string
  description = "AWS region of the S3 buckets."
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "A region looks like us-east-1."
  }
}

variable "aws_permissions_boundary_arn" {
  type        = string
  description = "ARN of the policy that bounds what the AWS roles can do (terraform/bootstrap/ makes it, and builds set this); null is no bound."
  default     = null

  validation {
    condition     = var.aws_permissions_boundary_arn == null || can(regex("^arn:aws:iam::[0-9]{12}:policy/", var.aws_permissions_boundary_arn))
    error_message = "The ARN of a policy: arn:aws:iam::111122223333:policy/dss-boundary."
  }
}

variable "aws_staging_writer_arns" {
  type        = list(string)
  description = "ARNs of AWS principals who may put objects into the S3 staging bucket."
  default     = []
}

variable "aws_repair_operator_arns" {
  type        = list(string)
  description = "ARNs of AWS principals who are repair_operators: they assume the AWS role dss-repair. None makes no role."
  default     = []
}

variable "aws_checkout_reader_arns" {
  type        = list(string)
  description = "ARNs of AWS principals who may read the S3 checkout bucket."
  default     = []
}

variable "sources" {
  type        = list(object({ url = string, groups = list(string) }))
  description = "Beside staging, what files are put from, and by members of which groups: gs://bucket, s3://bucket/prefix/, for imports also https://host/path/; * stands for any characters, and the group signed-in for everybody."
  default     = []

  validation {
    condition     = alltrue([for row in var.sources : can(regex("^(gs|s3|https)://[^/]+(/.*)?$", row.url)) && length(row.groups) > 0])
    error_message = "URLs as gs://bucket, gs://bucket/prefix/, s3://bucket or https://host/path/, each with a group."
  }
}

variable "destinations" {
  type        = list(object({ url = string, groups = list(string) }))
  description = "Buckets, gs://bucket or s3://bucket, into which members of groups check out without an object .dss-checkout-allowed in them; * stands for any characters."
  default     = []

  validation {
    condition     = alltrue([for row in var.destinations : can(regex("^(gs|s3)://[^/]+/?$", row.url)) && length(row.groups) > 0])
    error_message = "URLs of whole buckets, as gs://bucket, each with a group."
  }
}

variable "image" {
  type        = string
  description = "Container image of the API and the functions, as cloudbuild.yaml pushes it."

  validation {
    condition     = can(regex("^[^ :]+(:[^ :@]+|@sha256:[0-9a-f]{64})$", var.image))
    error_message = "An image with its tag or digest."
  }
}

variable "api_min_instances" {
  type        = number
  description = "Instances of the API that are kept when nobody calls; 0 costs nothing and makes first calls slow."
  default     = 0

  validation {
    condition     = var.api_min_instances >= 0
    error_message = "0 or more."
  }
}

variable "api_max_instances" {
  type        = number
  description = "Instances of the API at most."
  default     = 20

  validation {
    condition     = var.api_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "checkouts_at_once" {
  type        = number
  description = "Checkouts that are under way at once, of all callers together (nobody has to sign in for one); with 0 none is begun."
  default     = 100

  validation {
    condition     = var.checkouts_at_once >= 0
    error_message = "0 or more."
  }
}

variable "sync_max_instances" {
  type        = number
  description = "Instances at most of the function that replicates; each works on 32 objects at once, if they are small."
  default     = 20

  validation {
    condition     = var.sync_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "copy_max_instances" {
  type        = number
  description = "Instances at most of the function that copies large objects; each works on two batches of 2 GiB at once."
  default     = 20

  validation {
    condition     = var.copy_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "import_max_instances" {
  type        = number
  description = "Instances at most of the function that imports objects; each works on a part of an import."
  default     = 16

  validation {
    condition     = var.import_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "index_max_instances" {
  type        = number
  description = "Instances at most of the function that journals and indexes; each works on four bundles at once."
  default     = 20

  validation {
    condition     = var.index_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "notify_max_instances" {
  type        = number
  description = "Instances at most of the function that matches events with subscriptions; each works on two events at once."
  default     = 10

  validation {
    condition     = var.notify_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "deliver_max_instances" {
  type        = number
  description = "Instances at most of each of the two functions that call subscribers; each makes 64 calls at once."
  default     = 20

  validation {
    condition     = var.deliver_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "callback_networks" {
  type        = list(string)
  description = "Networks (as 10.1.0.0/16) whose addresses subscribers may have although they are not public."
  default     = []

  validation {
    condition     = alltrue([for network in var.callback_networks : can(cidrhost(network, 0))])
    error_message = "Networks of the form 10.1.0.0/16."
  }
}

variable "checkout_max_instances" {
  type        = number
  description = "Instances at most of the function that checks out; each works on four pages of 500 files at once."
  default     = 20

  validation {
    condition     = var.checkout_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "postgresql_tier" {
  type        = string
  description = "Machine type of a Cloud SQL instance for the index of POST /search, and for catalogues (db-custom-2-7680, say). When null there is none, and Firestore holds the index."
  default     = null

  validation {
    condition     = var.postgresql_tier == null || can(regex("^db-[a-z0-9-]+$", var.postgresql_tier))
    error_message = "A machine type of Cloud SQL begins with db-."
  }
}

variable "postgresql_high_availability" {
  type        = bool
  description = "Keep a second Cloud SQL machine in another zone, which takes over."
  default     = false
}

variable "postgresql_deletion_protection" {
  type        = bool
  description = "Have Terraform and Google Cloud refuse to delete the Cloud SQL instance. Set it to false, and deploy, before it is taken down."
  default     = true
}

variable "postgresql_password_version" {
  type        = string
  description = "Version of secret dss-postgresql-password that signs in to PostgreSQL. From then on the index is there."
  default     = null

  validation {
    condition = var.postgresql_password_version == null || (
      var.postgresql_tier != null && can(regex("^([1-9][0-9]*|latest)$", var.postgresql_password_version))
    )
    error_message = "A number, or latest; and with postgresql_tier."
  }
}

variable "catalogues" {
  type = list(object({
    name    = string
    plugin  = string
    replica = optional(string, "gcp")
    prefix  = optional(string, "")
    options = optional(string, "{}") # JSON: those of two plug-ins have no type in common.
  }))
  description = "Catalogues by which people find data by facets: a name, a plug-in (hca, generic) with options (jsonencode({...})), and whose bundles. They are in the database of postgresql_tier."
  default     = []

  validation {
    condition     = length(var.catalogues) == 0 || var.postgresql_password_version != null
    error_message = "With postgresql_tier and postgresql_password_version: they are in PostgreSQL."
  }

  validation {
    condition = alltrue([
      for row in var.catalogues : can(regex("^[a-z][a-z0-9_-]{0,63}$", row.name)) && can(regex("^[0-9a-f-]{0,36}$", row.prefix))
    ])
    error_message = "A name is lower-case letters, digits, - and _; a prefix is the beginning of a UUID."
  }

  validation {
    condition     = length(distinct(var.catalogues[*].name)) == length(var.catalogues)
    error_message = "Two catalogues have the same name."
  }

  validation {
    condition     = alltrue([for row in var.catalogues : can(keys(jsondecode(row.options)))])
    error_message = "The options of a catalogue are a JSON object: jsonencode({...})."
  }
}

variable "explore_max_instances" {
  type        = number
  description = "Instances at most of the function that fills the catalogues; each works on four bundles at once."
  default     = 10

  validation {
    condition     = var.explore_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "manifest_max_instances" {
  type        = number
  description = "Instances at most of the function that makes manifests of catalogues' files; each makes one at a time."
  default     = 5

  validation {
    condition     = var.manifest_max_instances >= 1
    error_message = "1 or more."
  }
}

variable "alert_emails" {
  type        = list(string)
  description = "E-mails to which alerts are sent. Without any, alerts are seen in Cloud Monitoring only."
  default     = []
}

variable "replication_alert_seconds" {
  type        = number
  description = "Age of the oldest object that a replica lacks, in seconds, from which on it is an alert."
  default     = 3600

  validation {
    # shared/config.py, DSS_SWEEP_SECONDS: what is younger than 600 s is not even swept.
    condition     = var.replication_alert_seconds > 600
    error_message = "More than 600."
  }
}

variable "event_alert_seconds" {
  type        = number
  description = "Age in seconds at which the oldest unpublished event of a bundle or tombstone is an alert."
  default     = 3600

  validation {
    # As for replication_alert_seconds.
    condition     = var.event_alert_seconds > 600
    error_message = "More than 600."
  }
}

variable "public_url" {
  type        = string
  description = "URL by which clients reach the API, without a slash at its end. Cloud Run's own when null."
  default     = null

  validation {
    condition     = var.public_url == null || can(regex("^https://[^/]+$", var.public_url))
    error_message = "https:// and a host."
  }
}

variable "load_balancer" {
  type = object({
    requests_per_minute = optional(number, 30000) # Of one IP address.
    ban_seconds         = optional(number, 300)   # For one that sends twice as many.
    required            = optional(bool, true)    # Refuse requests that do not come through it.
  })
  description = "A load balancer with Cloud Armor in front of the API, at the host of public_url; null is none."
  default     = null

  validation {
    condition     = var.load_balancer == null || var.public_url != null
    error_message = "With public_url: its host is the one that the load balancer serves."
  }

  validation {
    # Cloud Armor: a threshold is at most 1,000,000; ours is for twice as many.
    condition = var.load_balancer == null || try(
      var.load_balancer.requests_per_minute >= 1 && var.load_balancer.requests_per_minute <= 500000, false
    )
    error_message = "1 to 500,000 requests."
  }
}

variable "private" {
  type        = bool
  description = "Have the API answer only callers in the project's own networks, and in those of its VPC Service Controls perimeter."
  default     = false

  validation {
    condition     = !var.private || var.load_balancer == null
    error_message = "Without load_balancer: that one is for callers from outside."
  }
}

variable "principal_units" {
  type        = number
  description = "Cost units a minute that a caller who has signed in may spend in each instance of the API; 0 is no limit, null the default."
  default     = null

  validation {
    condition     = var.principal_units == null || try(var.principal_units >= 0 && floor(var.principal_units) == var.principal_units, false)
    error_message = "A whole number, 0 or more."
  }
}

variable "address_units" {
  type        = number
  description = "Cost units a minute that an IP address may spend in each instance of the API; 0 is no limit, null the default."
  default     = null

  validation {
    condition     = var.address_units == null || try(var.address_units >= 0 && floor(var.address_units) == var.address_units, false)
    error_message = "A whole number, 0 or more."
  }
}

variable "unlimited_networks" {
  type        = list(string)
  description = "Networks (as 10.1.0.0/16) whose requests are not limited."
  default     = []

  validation {
    condition     = alltrue([for network in var.unlimited_networks : can(cidrhost(network, 0))])
    error_message = "Networks of the form 10.1.0.0/16."
  }
}

variable "cors_origins" {
  type        = list(string)
  description = "Origins (https://notebooks.example.org) whose pages in browsers may call the API and read signed URLs; * is any."
  default     = ["*"]

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^(https?://[a-z0-9.-]+(:[0-9]+)?)$", origin))]) || join(",", var.cors_origins) == "*"
    error_message = "Origins of the form https://notebooks.example.org, or * alone."
  }
}

variable "read_only" {
  type        = bool
  description = "Refuse every write with 503."
  default     = false
}

variable "trace_percent" {
  type        = number
  description = "Percent of the traces that Cloud Trace gets, each with all that follows from a request; with 0 none is written."
  default     = 10

  validation {
    condition     = var.trace_percent >= 0 && var.trace_percent <= 100 && floor(var.trace_percent) == var.trace_percent
    error_message = "A whole number, from 0 to 100."
  }
}

variable "oidc_issuer" {
  type        = string
  description = "URL of the OpenID provider whose tokens are accepted."

  validation {
    condition     = startswith(var.oidc_issuer, "https://")
    error_message = "Begins with https://."
  }
}

variable "oidc_audiences" {
  type        = list(string)
  description = "Audiences of which a token must have one."

  validation {
    condition     = length(var.oidc_audiences) > 0
    error_message = "At least one; without it every token is refused."
  }
}

variable "oidc_email_claims" {
  type        = list(string)
  description = "Claims that may hold the caller's e-mail; the first present counts."
  default     = ["email"]
}

variable "oidc_group_claims" {
  type        = list(string)
  description = "Claims that may hold the caller's groups; the first present counts."
  default     = ["group"]
}

variable "oidc_issuers" {
  type = list(object({
    issuer        = string
    audiences     = list(string)
    email_claims  = optional(list(string), ["email"])
    group_claims  = optional(list(string), [])
    email_domains = optional(list(string), [])
    jwks_url      = optional(string, "")
  }))
  description = "More OpenID providers, each with the claims that count and the domains of addresses that it may prove."
  default     = []

  validation {
    condition     = alltrue([for each in var.oidc_issuers : startswith(each.issuer, "https://") && length(each.audiences) > 0])
    error_message = "Each issuer begins with https://, and has an audience or more."
  }
}

variable "token_info_url" {
  type        = string
  description = "URL that tells whose an opaque access token is, as https://oauth2.googleapis.com/tokeninfo does. Empty: no such tokens."
  default     = ""

  validation {
    condition     = var.token_info_url == "" || startswith(var.token_info_url, "https://")
    error_message = "Empty, or begins with https://."
  }
}

variable "token_info_clients" {
  type        = list(string)
  description = "OAuth clients whose access tokens are accepted, beside those of service accounts of trusted_projects."
  default     = []
}

variable "secured_operations" {
  type        = list(string)
  description = "Operations of the contract, such as files.get, that need sign-in beside those that always do; or all."
  default     = []
}

variable "write_groups" {
  type        = list(string)
  description = "Groups whose members may write."
  default     = ["dss"]
}

variable "default_access" {
  type        = string
  description = "Who may read what is bound to no group: `public`, `signed-in`, or the name of a group."
  default     = "public"
}

variable "subscription_days" {
  type        = number
  description = "Days without a sign-in of its owner after which a subscription pauses; 0: it never does."
  default     = 90

  validation {
    condition     = var.subscription_days >= 0 && floor(var.subscription_days) == var.subscription_days
    error_message = "It must be a whole number of days."
  }
}

variable "hide_managed" {
  type        = bool
  description = "Whether managed data are answered by 404, as if they weren't there, to those who may not read them."
  default     = false
}

variable "owner_group" {
  type        = string
  description = "Group that owns the new bundles whose PUT names no `owner_group`; none if empty."
  default     = ""
}

variable "purge_grace_hours" {
  type        = number
  description = "Hours for which what is to be removed for good is only withheld, and the purge can be undone."
  default     = 72

  validation {
    condition     = var.purge_grace_hours >= 0 && floor(var.purge_grace_hours) == var.purge_grace_hours
    error_message = "purge_grace_hours must be a whole number of hours."
  }
}

variable "access_contact" {
  type        = string
  description = "Whom to ask for access to managed data: an address or a URL."
  default     = ""
}

variable "organization" {
  type        = object({ name = optional(string, ""), url = optional(string, "") })
  description = "Who runs this service, and their website; other services show it."
  default     = {}
}

variable "admin_emails" {
  type        = list(string)
  description = "E-mails of those who may do everything."
  default     = []
}

variable "trusted_projects" {
  type        = list(string)
  description = "Google Cloud projects whose service accounts may sign their own tokens."
  default     = []
}

variable "signing_key_version" {
  type        = string
  description = "Version of secret dss-signing-key that signs URLs. When null, IAM signs: one network call a URL."
  default     = null

  validation {
    condition     = var.signing_key_version == null || can(regex("^([1-9][0-9]*|latest)$", var.signing_key_version))
    error_message = "A number, or latest."
  }
}

variable "subscription_key_version" {
  type        = string
  description = "Version of secret dss-subscription-key that encrypts the secrets of subscriptions. When null, none is signed."
  default     = null

  validation {
    condition     = var.subscription_key_version == null || can(regex("^([1-9][0-9]*|latest)$", var.subscription_key_version))
    error_message = "A number, or latest."
  }
}

variable "application_secrets_version" {
  type        = string
  description = "Version of secret dss-application-secrets that the API serves to command lines. None when null."
  default     = null

  validation {
    condition = (
      var.application_secrets_version == null ||
      can(regex("^([1-9][0-9]*|latest)$", var.application_secrets_version))
    )
    error_message = "A number, or latest."
  }
}

variable "sign_in_clients_version" {
  type        = string
  description = "Version of secret dss-sign-in-clients, by which people sign in to the pages. When null, nobody can."
  default     = null

  validation {
    condition = (
      var.sign_in_clients_version == null ||
      can(regex("^([1-9][0-9]*|latest)$", var.sign_in_clients_version))
    )
    error_message = "A number, or latest."
  }

  validation {
    condition     = var.sign_in_clients_version == null || var.subscription_key_version != null
    error_message = "Sessions are encrypted by the keys of secret dss-subscription-key: set subscription_key_version."
  }
}

variable "docs_url" {
  type        = string
  description = "Where alerts say that the documentation is, as https://git.example.org/dss/blob/main/docs; its folder by default."
  default     = "docs"

  validation {
    condition     = var.docs_url == "docs" || can(regex("^https://[^ ]+$", var.docs_url))
    error_message = "An https:// address, or docs."
  }
}
