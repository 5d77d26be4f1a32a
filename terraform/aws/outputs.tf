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

output "undelivered_queue" {
  description = "ARN and URL of the SQS queue that has what SNS could not deliver."
  value       = { arn = aws_sqs_queue.undelivered.arn, url = aws_sqs_queue.undelivered.id }

  # SNS checks whether it may send when a subscription names the queue.
  depends_on = [aws_sqs_queue_policy.undelivered]
}
