# AWS knows Google's identity tokens without a provider of one's own. AWS takes `aud` from the token's `azp`
# (the account's unique id or its e-mail, by who issued the token) and `oaud` from its `aud`.
data "aws_iam_policy_document" "api_trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["accounts.google.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:sub"
      values   = [var.api_service_account_id]
    }

    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:aud"
      values   = [var.api_service_account_id, var.api_service_account_email]
    }

    condition {
      test     = "StringEquals"
      variable = "accounts.google.com:oaud"
      values   = [var.google_audience]
    }
  }
}

resource "aws_iam_role" "api" {
  name               = "dss-api"
  description        = "Assumed by the Google service account of the DSS API."
  assume_role_policy = data.aws_iam_policy_document.api_trust.json
  # 12 hours, the most that AWS gives: a presigned URL dies with the session that signed it.
  max_session_duration = 12 * 60 * 60
}

data "aws_iam_policy_document" "api" {
  # Without it a missing object is 403, not 404.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [for bucket in aws_s3_bucket.dss : bucket.arn]
  }

  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:GetObjectTagging"]
    resources = [for bucket in aws_s3_bucket.dss : "${bucket.arn}/*"]
  }

  statement {
    sid       = "CreateInMain"
    actions   = ["s3:AbortMultipartUpload", "s3:PutObject"]
    resources = ["${aws_s3_bucket.dss["main"].arn}/*"]
  }

  dynamic "statement" {
    for_each = length(var.source_buckets) > 0 ? [var.source_buckets] : []
    content {
      sid     = "ReadSources"
      actions = ["s3:GetObject", "s3:GetObjectTagging", "s3:ListBucket"]
      resources = flatten([
        for name in statement.value : ["arn:aws:s3:::${name}", "arn:aws:s3:::${name}/*"]
      ])
    }
  }
}

resource "aws_iam_role_policy" "api" {
  name   = "objects"
  role   = aws_iam_role.api.id
  policy = data.aws_iam_policy_document.api.json
}
