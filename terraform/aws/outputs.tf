output "bucket_names" {
  description = "Names of the buckets by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.dss : purpose => bucket.bucket }
}

output "api_role_arn" {
  description = "ARN of the role that the API assumes."
  value       = aws_iam_role.api.arn
}
