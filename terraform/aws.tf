locals {
  aws_role_audience = "sts.amazonaws.com"
}

module "aws" {
  source = "./aws"

  bucket_prefix             = local.bucket_prefix
  staging_ttl_days          = var.staging_ttl_days
  checkout_ttl_days         = var.checkout_ttl_days
  staging_writer_arns       = var.aws_staging_writer_arns
  checkout_reader_arns      = var.aws_checkout_reader_arns
  source_buckets            = var.aws_source_buckets
  google_audience           = local.aws_role_audience
  api_service_account_id    = google_service_account.api.unique_id
  api_service_account_email = google_service_account.api.email
}
