# What takes effect a while after its API has answered. Without these the first apply fails now and then, and the second
# goes through.

# Cloud IAM: two minutes as a rule. https://cloud.google.com/iam/docs/access-change-propagation
locals {
  grants_settle  = "120s"
  metrics_settle = "120s"
}

# The API and the functions are called as soon as they are there.
resource "time_sleep" "grants" {
  create_duration = local.grants_settle

  triggers = {
    accounts = join(" ", sort([for account in local.google_accounts : account.unique_id]))
  }

  depends_on = [
    google_project_iam_member.catalog,
    google_project_iam_member.starts_workflows,
    google_project_iam_member.traces,
    google_pubsub_topic_iam_member.api,
    google_pubsub_topic_iam_member.function,
    google_secret_manager_secret_iam_member.api,
    google_secret_manager_secret_iam_member.function,
    google_secret_manager_secret_iam_member.postgresql_password,
    google_secret_manager_secret_iam_member.subscription_key,
    google_storage_bucket_iam_member.api,
    google_storage_bucket_iam_member.function,
  ]
}

# SNS does not ask again if the function that confirms its subscription is not open yet.
resource "time_sleep" "invokers" {
  create_duration = local.grants_settle

  triggers = {
    functions = join(" ", sort(keys(local.functions)))
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}

# Cloud Monitoring refuses an alert on a metric of logs that it does not know yet.
resource "time_sleep" "metrics" {
  create_duration = local.metrics_settle

  triggers = {
    metrics = join(" ", sort(concat(
      [for metric in google_logging_metric.backlog : metric.name], [google_logging_metric.run_problems.name]
    )))
  }
}
