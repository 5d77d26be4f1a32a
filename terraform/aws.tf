locals {
  aws_role_audience = "sts.amazonaws.com"

  # What components may do in S3. Removing is for copies that prove wrong.
  aws_rights = merge(
    {
      api = {
        reads         = ["main", "checkout", "staging"]
        reads_sources = true
        creates       = ["main"]
        aborts        = []
        removes       = []
        checks_out    = false
        reads_proofs  = true
      }
    },
    { for name, row in local.functions : name => merge(row.s3, { reads_proofs = false }) if row.s3 != null },
  )

  # Of what files are put from, what is in S3, as bucket/key.
  aws_sources = [for row in var.sources : trimprefix(row.url, "s3://") if startswith(row.url, "s3://")]

  checkout_writers = [for name, rights in local.aws_rights : name if rights.checks_out]

  source_readers = [for name, rights in local.aws_rights : name if rights.reads_sources]

  google_accounts = merge({ api = google_service_account.api }, google_service_account.function)
}

module "aws" {
  source = "./aws"

  prefix               = local.prefix
  bucket_prefix        = local.bucket_prefix
  staging_ttl_days     = var.staging_ttl_days
  checkout_ttl_days    = var.checkout_ttl_days
  staging_writer_arns  = var.aws_staging_writer_arns
  checkout_reader_arns = var.aws_checkout_reader_arns
  repair_operator_arns = var.aws_repair_operator_arns
  sources              = local.aws_sources
  cors_origins         = var.cors_origins
  event_prefixes       = local.event_prefixes
  google_audience      = local.aws_role_audience
  audit_log_days       = var.audit_log_days
  audit_log_locked     = var.audit_log_locked

  permissions_boundary_arn = var.aws_permissions_boundary_arn

  roles = {
    for name, rights in local.aws_rights : name => merge(rights, {
      service_account_id    = local.google_accounts[name].unique_id
      service_account_email = local.google_accounts[name].email
    })
  }
}
