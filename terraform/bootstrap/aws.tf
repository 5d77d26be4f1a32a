# Whom builds are in AWS. No AWS key is made, here or later.
locals {
  aws_name = "dss-deploy-${var.project_id}"

  # What a role of the DSS may do at most, even if its policies allow more.
  boundary = {
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Resource = "*"
      Action = [
        "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectTagging",
        "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:ListMultipartUploadParts",
        "s3:PutObject", "s3:PutObjectTagging",
      ]
    }]
  }

  # AWS takes `aud` from the token's `azp` (the account's unique id or its e-mail) and `oaud` from its `aud`.
  deploy_trust = {
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = "accounts.google.com" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "accounts.google.com:sub"  = google_service_account.deploy.unique_id
          "accounts.google.com:aud"  = [google_service_account.deploy.unique_id, google_service_account.deploy.email]
          "accounts.google.com:oaud" = "sts.amazonaws.com"
        }
      }
    }]
  }

  deploy_policy = {
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["s3:*"], Resource = "arn:aws:s3:::${local.bucket_prefix}-*" },
      { Effect = "Allow", Action = ["sns:*"], Resource = "arn:aws:sns:*:*:dss-*" },
      { Effect = "Allow", Action = ["sqs:*"], Resource = "arn:aws:sqs:*:*:dss-*" },
      { Effect = "Allow", Action = ["cloudtrail:*"], Resource = "arn:aws:cloudtrail:*:*:trail/dss-*" },
      { Effect = "Allow", Action = ["cloudtrail:DescribeTrails"], Resource = "*" },
      {
        Effect   = "Allow"
        Resource = "arn:aws:iam::*:role/dss-*"
        Action = [
          "iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
        ]
        Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
      },
      {
        Effect   = "Allow"
        Resource = "arn:aws:iam::*:role/dss-*"
        Action = [
          "iam:DeleteRole", "iam:GetRole*", "iam:List*", "iam:TagRole", "iam:UntagRole",
          "iam:UpdateAssumeRolePolicy", "iam:UpdateRole*",
        ]
      },
      # Neither itself nor what bounds the others.
      {
        Effect   = "Deny"
        Resource = "arn:aws:iam::*:role/dss-deploy-*"
        Action   = ["iam:Delete*", "iam:Put*", "iam:Tag*", "iam:Untag*", "iam:Update*"]
      },
    ]
  }
}

resource "aws_iam_policy" "boundary" {
  name        = "dss-boundary-${var.project_id}"
  description = "What the roles of the DSS may do at most."
  policy      = jsonencode(local.boundary)
}

resource "aws_iam_role" "deploy" {
  name               = local.aws_name
  description        = "Assumed by builds as ${google_service_account.deploy.email}."
  assume_role_policy = jsonencode(local.deploy_trust)
  # As long as a build may last (cloudbuild.yaml).
  max_session_duration = 2 * 60 * 60
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = jsonencode(local.deploy_policy)
}
