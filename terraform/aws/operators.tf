# What operators need in S3 to run every command of `dss admin` on machines of their own: the rights of
# `dss-administer`, for whom the account trusts. Only they assume it, with credentials of their own.
data "aws_iam_policy_document" "trust_operators" {
  count = length(var.repair_operator_arns) > 0 ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.repair_operator_arns
    }
  }
}

resource "aws_iam_role" "repair" {
  count = length(var.repair_operator_arns) > 0 ? 1 : 0

  name                 = "${var.prefix}-repair"
  description          = "Assumed by operators who repair."
  assume_role_policy   = data.aws_iam_policy_document.trust_operators[0].json
  permissions_boundary = var.permissions_boundary_arn
  # As for those of services: an audit takes hours.
  max_session_duration = 12 * 60 * 60
}

resource "aws_iam_role_policy" "repair" {
  count = length(var.repair_operator_arns) > 0 ? 1 : 0

  name   = "objects"
  role   = aws_iam_role.repair[0].id
  policy = data.aws_iam_policy_document.objects["administer"].json
}
