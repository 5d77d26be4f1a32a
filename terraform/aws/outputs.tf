output "bucket_names" {
  description = "Names of the buckets by purpose."
  value       = { for purpose, bucket in aws_s3_bucket.dss : purpose => bucket.bucket }
}

output "role_arns" {
  description = "ARNs of the roles by component."
  value       = { for component, role in aws_iam_role.dss : component => role.arn }
}

output "object_events_topic_arn" {
  description = "ARN of the SNS topic that tells of objects in the main bucket."
  value       = aws_sns_topic.object_events.arn
}
