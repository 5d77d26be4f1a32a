# AWS knows Google's identity tokens without a provider of one's own. AWS takes `aud` from the token's `azp`
# (the account's unique id or its e-mail, by who issued the token) and `oaud` from its `aud`.
data "aws_iam_policy_document" "trust" {
  for_each = var.roles

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["accounts.google.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:sub"
      values   = [each.value.service_account_id]
    }

    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:aud"
      values   = [each.value.service_account_id, each.value.service_account_email]
    }

    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:oaud"
      values   = [var.google_audience]
    }
  }
}

resource "aws_iam_role" "dss" {
  for_each = var.roles

  name               = "${var.prefix}-${each.key}"
  description        = "Assumed by the Google service account ${each.value.service_account_email}."
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
  # The account that deploys can make roles with this bound only, so that it cannot give itself more rights.
  permissions_boundary = var.permissions_boundary_arn
  # 12 hours, the most that AWS gives and shared/stores/s3/session.py asks for: a presigned URL dies with the
  # session that signed it.
  max_session_duration = 12 * 60 * 60
}

data "aws_iam_policy_document" "objects" {
  for_each = var.roles

  # Without it a missing object is 403, not 404.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [for purpose in each.value.reads : aws_s3_bucket.dss[purpose].arn]
  }

  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:GetObjectTagging"]
    resources = [for purpose in each.value.reads : "${aws_s3_bucket.dss[purpose].arn}/*"]
  }

  # The parts of an upload are listed before it is completed: their MD5s prove what the ETag will be.
  dynamic "statement" {
    for_each = length(each.value.creates) > 0 ? [each.value.creates] : []
    content {
      sid       = "Create"
      actions   = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
      resources = [for purpose in statement.value : "${aws_s3_bucket.dss[purpose].arn}/*"]
    }
  }

  # What killed processes left of objects in parts. It ends nothing that is there to be seen.
  dynamic "statement" {
    for_each = length(each.value.aborts) > 0 ? [each.value.aborts] : []
    content {
      sid       = "FindUploads"
      actions   = ["s3:ListBucketMultipartUploads"]
      resources = [for purpose in statement.value : aws_s3_bucket.dss[purpose].arn]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.aborts) > 0 ? [each.value.aborts] : []
    content {
      sid       = "AbortUploads"
      actions   = ["s3:AbortMultipartUpload"]
      resources = [for purpose in statement.value : "${aws_s3_bucket.dss[purpose].arn}/*"]
    }
  }

  # What is to expire in the checkout bucket has a tag.
  dynamic "statement" {
    for_each = contains(each.value.creates, "checkout") ? [1] : []
    content {
      sid       = "TagCheckouts"
      actions   = ["s3:PutObjectTagging"]
      resources = ["${aws_s3_bucket.dss["checkout"].arn}/*"]
    }
  }

  # What is removed for good must not stay as an earlier version, if somebody has switched versioning on.
  dynamic "statement" {
    for_each = length(each.value.erases) > 0 ? [each.value.erases] : []
    content {
      sid       = "FindVersions"
      actions   = ["s3:ListBucketVersions"]
      resources = [for purpose in statement.value : aws_s3_bucket.dss[purpose].arn]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.erases) > 0 ? [each.value.erases] : []
    content {
      sid       = "EraseVersions"
      actions   = ["s3:DeleteObjectVersion"]
      resources = [for purpose in statement.value : "${aws_s3_bucket.dss[purpose].arn}/*"]
    }
  }

  # Copies that prove wrong are removed before anybody sees them. S3 keeps nothing of what is deleted, so in main
  # the right ends where copies of blobs are, and saved subscriptions: but for operators' runs, no manifest and no
  # tombstone can be removed.
  dynamic "statement" {
    for_each = length(each.value.removes) > 0 ? [each.value.removes] : []
    content {
      sid     = "RemoveWrongCopies"
      actions = ["s3:DeleteObject"]
      resources = [
        for place in statement.value :
        "${aws_s3_bucket.dss[split("/", place)[0]].arn}/${join("/", concat(slice(split("/", place), 1, length(split("/", place))), ["*"]))}"
      ]
    }
  }

  # Users' own buckets: what may be written there is for the buckets' policies to say, without which this is of no
  # effect. In this account it would be, so buckets of this account are left out.
  dynamic "statement" {
    for_each = each.value.checks_out ? [1] : []
    content {
      sid = "CheckOutToOthers"
      actions = [
        "s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket", "s3:ListMultipartUploadParts",
        "s3:PutObject",
      ]
      resources = ["*"]

      condition {
        test     = "StringNotEquals"
        variable = "aws:ResourceAccount"
        values   = [data.aws_caller_identity.this.account_id]
      }
    }
  }

  # Whether such a bucket is there, and the object in it by which its owner allows checkouts
  # (shared/access/buckets.py).
  dynamic "statement" {
    for_each = each.value.reads_proofs ? {
      FindDestinations = { action = "s3:ListBucket", where = "*" }
      ReadProofs       = { action = "s3:GetObject", where = "*/.dss-checkout-allowed" }
    } : {}
    content {
      sid       = statement.key
      actions   = [statement.value.action]
      resources = ["arn:aws:s3:::${statement.value.where}"]

      condition {
        test     = "StringNotEquals"
        variable = "aws:ResourceAccount"
        values   = [data.aws_caller_identity.this.account_id]
      }
    }
  }

  # Without the right to list, a missing object is 403, not 404.
  dynamic "statement" {
    for_each = each.value.reads_sources && length(var.sources) > 0 ? [var.sources] : []
    content {
      sid       = "ListSources"
      actions   = ["s3:ListBucket"]
      resources = distinct([for source in statement.value : "arn:aws:s3:::${split("/", source)[0]}"])
    }
  }

  dynamic "statement" {
    for_each = each.value.reads_sources && length(var.sources) > 0 ? [var.sources] : []
    content {
      sid     = "ReadSources"
      actions = ["s3:GetObject", "s3:GetObjectTagging"]
      resources = [
        for source in statement.value : join("", [
          "arn:aws:s3:::${source}",
          endswith(source, "/") ? "*" : strcontains(source, "/") ? "" : "/*",
        ])
      ]
    }
  }
}

resource "aws_iam_role_policy" "objects" {
  for_each = var.roles

  name   = "objects"
  role   = aws_iam_role.dss[each.key].id
  policy = data.aws_iam_policy_document.objects[each.key].json
}
