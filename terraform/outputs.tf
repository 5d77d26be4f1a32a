output "api_url" {
  description = "URL by which clients reach the API."
  value       = local.api_public_url
}

output "api_run_url" {
  description = "Cloud Run's own URL of the API; the target of a custom domain."
  value       = local.api_run_url
}

output "api_service_account" {
  description = "E-mail of the API's service account; owners of GCS source buckets grant it reading."
  value       = google_service_account.api.email
}

output "signer_service_account" {
  description = "E-mail of the account whose key goes into secret dss-signing-key."
  value       = google_service_account.signer.email
}

output "aws_api_role_arn" {
  description = "ARN of the AWS role that the API assumes; owners of S3 source buckets grant it reading."
  value       = module.aws.api_role_arn
}

output "image_repository" {
  description = "Where cloudbuild.yaml pushes images."
  value = join("/", [
    "${var.region}-docker.pkg.dev", var.project_id, google_artifact_registry_repository.images.repository_id,
  ])
}

output "gcs_buckets" {
  description = "Names of the GCS buckets by purpose."
  value       = { for purpose, bucket in google_storage_bucket.dss : purpose => bucket.name }
}

output "s3_buckets" {
  description = "Names of the S3 buckets by purpose."
  value       = module.aws.bucket_names
}
