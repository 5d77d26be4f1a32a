# Who read and wrote objects of the main bucket: by a signed URL, too, or beside the system. CloudTrail writes its files
# into a bucket of its own, where they are locked.
locals {
  trail_name = "${var.prefix}-data-access"
  # Known before the trail is, which needs the bucket's policy.
  trail_arn = "arn:aws:cloudtrail:${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}:trail/${local.trail_name}"
}

data "aws_region" "this" {}

resource "aws_s3_bucket" "audit_log" {
  bucket              = "${var.bucket_prefix}-audit-log"
  force_destroy       = false
  object_lock_enabled = true
}

resource "aws_s3_bucket_versioning" "audit_log" {
  bucket = aws_s3_bucket.audit_log.id

  # An object lock needs it.
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "audit_log" {
  bucket = aws_s3_bucket.audit_log.id

  rule {
    default_retention {
      # COMPLIANCE binds the account's root as well.
      mode = var.audit_log_locked ? "COMPLIANCE" : "GOVERNANCE"
      days = var.audit_log_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.audit_log]
}

resource "aws_s3_bucket_public_access_block" "audit_log" {
  bucket                  = aws_s3_bucket.audit_log.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "audit_log" {
  bucket = aws_s3_bucket.audit_log.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "audit_log" {
  bucket = aws_s3_bucket.audit_log.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "audit_log" {
  bucket = aws_s3_bucket.audit_log.id

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # A day later, no version is locked any more.
  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.audit_log_days + 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }
}

# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
data "aws_iam_policy_document" "audit_log" {
  statement {
    sid       = "OnlyTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.audit_log.arn, "${aws_s3_bucket.audit_log.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "TrailLooks"
    actions   = ["s3:GetBucketAcl"]
    resources = [aws_s3_bucket.audit_log.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
  }

  statement {
    sid       = "TrailWrites"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.audit_log.arn}/AWSLogs/${data.aws_caller_identity.this.account_id}/*"]

    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "s3:x-amz-acl"
      values   = ["bucket-owner-full-control"]
    }
  }
}

resource "aws_s3_bucket_policy" "audit_log" {
  bucket = aws_s3_bucket.audit_log.id
  policy = data.aws_iam_policy_document.audit_log.json

  # S3 refuses two changes of a bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.audit_log]
}

resource "aws_cloudtrail" "data_access" {
  name                       = local.trail_name
  s3_bucket_name             = aws_s3_bucket.audit_log.bucket
  is_multi_region_trail      = false
  enable_log_file_validation = true
  # Of the whole account, and none of this trail's business.
  include_global_service_events = false

  advanced_event_selector {
    name = "Objects of the main bucket"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }
    field_selector {
      field  = "resources.type"
      equals = ["AWS::S3::Object"]
    }
    field_selector {
      field       = "resources.ARN"
      starts_with = ["${aws_s3_bucket.dss["main"].arn}/"]
    }
  }

  depends_on = [aws_s3_bucket_policy.audit_log]
}
