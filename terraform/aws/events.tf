# S3 announces new objects of the main bucket through SNS, which signs its messages (version 2: SHA-256).
# A message holds an object's name and no content; S3 could not publish to a topic encrypted with AWS's own key.
resource "aws_sns_topic" "object_events" {
  name              = "${var.prefix}-object-events"
  signature_version = 2
}

data "aws_caller_identity" "this" {}

data "aws_iam_policy_document" "object_events" {
  statement {
    sid       = "OnlyMainBucket"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.object_events.arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.dss["main"].arn]
    }

    # A bucket's ARN names no account: should ours be deleted, another's of that name is not believed.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "object_events" {
  arn    = aws_sns_topic.object_events.arn
  policy = data.aws_iam_policy_document.object_events.json
}

resource "aws_s3_bucket_notification" "main" {
  bucket = aws_s3_bucket.dss["main"].id

  dynamic "topic" {
    for_each = var.event_prefixes
    content {
      id            = trimsuffix(topic.value, "/")
      topic_arn     = aws_sns_topic.object_events.arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = topic.value
    }
  }

  # S3 tests whether it may publish when the notification is created.
  depends_on = [aws_sns_topic_policy.object_events]
}

# What SNS could not deliver, for operators to look at: the sweep publishes such events again (docs/operations.md).
resource "aws_sqs_queue" "undelivered" {
  name = "${var.prefix}-object-events-undelivered"
  # SQS: 14 days at most.
  message_retention_seconds = 14 * 24 * 60 * 60
  # By SQS's own key: with one of KMS, SNS would need rights on that, too.
  sqs_managed_sse_enabled = true
}

data "aws_iam_policy_document" "undelivered" {
  statement {
    sid       = "OnlyObjectEvents"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.undelivered.arn]

    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.object_events.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id
  policy    = data.aws_iam_policy_document.undelivered.json
}
