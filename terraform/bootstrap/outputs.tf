output "state_bucket" {
  description = "Where the state is, and the variables of deployments."
  value       = google_storage_bucket.state.name
}

output "deploy_account" {
  description = "E-mail of the account that deploys."
  value       = google_service_account.deploy.email
}

output "aws_role_arn" {
  description = "ARN of the AWS role that it assumes."
  value       = aws_iam_role.deploy.arn
}

output "image_repository" {
  description = "Where cloudbuild.yaml pushes images."
  value = join("/", [
    "${var.region}-docker.pkg.dev", var.project_id, google_artifact_registry_repository.images.repository_id,
  ])
}

output "substitutions" {
  description = "What `gcloud builds submit --substitutions` is given, beside the commit or the plan."
  value = join(",", [
    "_REGION=${var.region}", "_STATE_BUCKET=${google_storage_bucket.state.name}", "_AWS_ROLE_ARN=${aws_iam_role.deploy.arn}",
  ])
}
