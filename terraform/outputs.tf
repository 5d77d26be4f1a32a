output "api_url" {
  description = "URL by which clients reach the API."
  value       = local.api_public_url
}

output "api_run_url" {
  description = "Cloud Run's own URL of the API; the target of a custom domain."
  value       = local.api_run_url
}

output "load_balancer_address" {
  description = "IP address of the load balancer, to which the DNS of public_url has to point; empty without one."
  value       = join("", [for balancer in module.load_balancer : balancer.address])
}

output "signer_service_account" {
  description = "E-mail of the account whose key goes into secret dss-signing-key."
  value       = google_service_account.signer.email
}

output "function_urls" {
  description = "URLs of the functions."
  value       = local.function_urls
}

output "undelivered_events_queue" {
  description = "URL of the SQS queue that has the events of S3 objects that could not be delivered."
  value       = module.aws.undelivered_queue.url
}

output "source_readers" {
  description = "E-mails of the service accounts that read source objects; owners of GCS source buckets grant them reading."
  value       = [for name in local.source_readers : local.google_accounts[name].email]
}

output "aws_source_reader_role_arns" {
  description = "ARNs of the AWS roles that read source objects; owners of S3 source buckets grant them reading."
  value       = [for name in local.source_readers : module.aws.role_arns[name]]
}

output "checkout_writers" {
  description = "E-mails of the service accounts that check out; owners of GCS buckets to check out to grant them objectUser."
  value       = [for name in local.checkout_writers : local.google_accounts[name].email]
}

output "aws_checkout_writer_role_arns" {
  description = "ARNs of the AWS roles that check out; policies of S3 buckets to check out to allow them to write."
  value       = [for name in local.checkout_writers : module.aws.role_arns[name]]
}

output "checkout_decider" {
  description = "E-mail of the service account that looks for .dss-checkout-allowed; owners of GCS buckets to check out to grant it objectViewer."
  value       = google_service_account.api.email
}

output "aws_checkout_decider_role_arn" {
  description = "ARN of the AWS role that looks for .dss-checkout-allowed; policies of S3 buckets to check out to allow it to list them, and to read that object."
  value       = module.aws.role_arns["api"]
}

output "gcs_buckets" {
  description = "Names of the GCS buckets by purpose."
  value       = { for purpose, bucket in google_storage_bucket.dss : purpose => bucket.name }
}

output "s3_buckets" {
  description = "Names of the S3 buckets by purpose."
  value       = module.aws.bucket_names
}
