locals {
  buckets = {
    main = { expires_after_days = null, expires_tag = null }
    # shared/stores/s3/temporary.py tags the objects to delete, and rewrites them when they are used.
    checkout = {
      expires_after_days = var.checkout_ttl_days
      expires_tag        = { key = "dss-checkout", value = "temporary" }
    }
    staging = { expires_after_days = var.staging_ttl_days, expires_tag = null }
  }

  # What the bucket policies grant to others, on the bucket and on its objects.
  grants = {
    for purpose, grant in {
      checkout = {
        principals     = var.checkout_reader_arns
        bucket_actions = ["s3:ListBucket"]
        object_actions = ["s3:GetObject"]
      }
      staging = {
        principals     = var.staging_writer_arns
        bucket_actions = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        object_actions = [
          "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectTagging",
          "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging",
        ]
      }
    } : purpose => grant if length(grant.principals) > 0
  }
}

# Versioning is left off, as S3 has it: objects are immutable.
resource "aws_s3_bucket" "dss" {
  for_each = local.buckets

  bucket = "${var.bucket_prefix}-${each.key}"
  # A bucket that holds objects is not destroyed.
  force_destroy = false
}

resource "aws_s3_bucket_public_access_block" "dss" {
  for_each = aws_s3_bucket.dss

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "dss" {
  for_each = aws_s3_bucket.dss

  bucket = each.value.id

  # No ACLs: what others put into staging is ours, too.
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "dss" {
  for_each = aws_s3_bucket.dss

  bucket = each.value.id

  # SSE-S3, not KMS: only so is an object's ETag its md5, by which the DSS proves content.
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "dss" {
  for_each = local.buckets

  bucket = aws_s3_bucket.dss[each.key].id

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = each.value.expires_after_days[*]
    content {
      id     = "expire"
      status = "Enabled"

      filter {
        dynamic "tag" {
          for_each = each.value.expires_tag[*]
          content {
            key   = tag.value.key
            value = tag.value.value
          }
        }
      }

      expiration {
        days = rule.value
      }
    }
  }
}

# Pages in browsers read what signed URLs lead to.
resource "aws_s3_bucket_cors_configuration" "dss" {
  for_each = toset(length(var.cors_origins) > 0 ? ["main", "checkout"] : [])

  bucket = aws_s3_bucket.dss[each.key].id

  cors_rule {
    allowed_origins = var.cors_origins
    allowed_methods = ["GET", "HEAD"]
    allowed_headers = ["*"]
    expose_headers  = ["Accept-Ranges", "Content-Disposition", "Content-Range", "ETag"]
    max_age_seconds = 7200
  }
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.buckets

  statement {
    sid       = "OnlyTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.dss[each.key].arn, "${aws_s3_bucket.dss[each.key].arn}/*"]

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

  # Manifests and tombstones never change, by any writer: without its precondition (shared/stores/s3/) a write is
  # refused. Not for blobs, as S3's CopyObject knows no such precondition.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
  dynamic "statement" {
    for_each = each.key == "main" ? [var.event_prefixes] : []
    content {
      sid       = "OnlyNewManifests"
      effect    = "Deny"
      actions   = ["s3:PutObject"]
      resources = [for prefix in statement.value : "${aws_s3_bucket.dss["main"].arn}/${prefix}*"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "Null"
        variable = "s3:if-none-match"
        values   = ["true"]
      }

      # The parts of an upload have no precondition; its end has.
      condition {
        test     = "Bool"
        variable = "s3:ObjectCreationOperation"
        values   = ["true"]
      }
    }
  }

  dynamic "statement" {
    for_each = try([local.grants[each.key]], [])
    content {
      sid       = "OthersOnBucket"
      actions   = statement.value.bucket_actions
      resources = [aws_s3_bucket.dss[each.key].arn]

      principals {
        type        = "AWS"
        identifiers = statement.value.principals
      }
    }
  }

  dynamic "statement" {
    for_each = try([local.grants[each.key]], [])
    content {
      sid       = "OthersOnObjects"
      actions   = statement.value.object_actions
      resources = ["${aws_s3_bucket.dss[each.key].arn}/*"]

      principals {
        type        = "AWS"
        identifiers = statement.value.principals
      }
    }
  }
}

resource "aws_s3_bucket_policy" "dss" {
  for_each = local.buckets

  bucket = aws_s3_bucket.dss[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  # S3 refuses two changes of a bucket's access at once.
  depends_on = [aws_s3_bucket_public_access_block.dss]
}
