# Who does by hand what no workflow does: a test compares this with the table of docs/operations.md.
#
# `operators` (workflows.tf, audit_log.tf) start runs and look. `repair_operators` are these, and run all commands of
# `dss admin` on machines of their own: they change the catalog, objects in GCS, and queues. What they need in AWS is
# the role of aws/operators.tf, for `aws_repair_operator_arns`.
locals {
  all_operators = setunion(var.operators, var.repair_operators)

  # Places that Google knows as such; by name, so that keys are known before an apply.
  repair_grants = {
    buckets       = { for purpose in ["main", "checkout", "reports"] : purpose => "roles/storage.objectUser" }
    topics        = { for name, _ in google_pubsub_topic.dss : name => "roles/pubsub.publisher" }
    subscriptions = { for name in concat(keys(local.subscriptions), [local.dead_letters]) : name => "roles/pubsub.subscriber" }
    # Who changes what is pushed, or paused, in whose name must be allowed to act as that account.
    callers = { for name in ["pubsub", "scheduler"] : name => "roles/iam.serviceAccountUser" }
    project = {
      # Lists subscriptions and services, with their settings.
      queues   = "roles/pubsub.viewer"
      settings = "roles/run.viewer"
      # `dss admin stop` and `start`; terraform/bootstrap/ makes it.
      pauses = "projects/${var.project_id}/roles/dssPauses"
    }
  }
}

resource "google_project_iam_member" "repair_operators" {
  for_each = {
    for grant in setproduct(var.repair_operators, keys(local.repair_grants.project)) :
    join(" ", grant) => { member = grant[0], role = local.repair_grants.project[grant[1]] }
  }

  project = var.project_id
  role    = each.value.role
  member  = each.value.member
}

resource "google_project_iam_member" "repair_operators_write_catalog" {
  for_each = toset(var.repair_operators)

  project = var.project_id
  role    = "roles/datastore.user"
  member  = each.key

  condition {
    title      = "catalog only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.catalog.name}\""
  }
}

resource "google_storage_bucket_iam_member" "repair_operators" {
  for_each = {
    for grant in setproduct(var.repair_operators, keys(local.repair_grants.buckets)) :
    join(" ", grant) => { member = grant[0], purpose = grant[1] }
  }

  bucket = google_storage_bucket.dss[each.value.purpose].name
  role   = local.repair_grants.buckets[each.value.purpose]
  member = each.value.member
}

resource "google_pubsub_topic_iam_member" "repair_operators" {
  for_each = {
    for grant in setproduct(var.repair_operators, keys(local.repair_grants.topics)) :
    join(" ", grant) => { member = grant[0], topic = grant[1] }
  }

  topic  = google_pubsub_topic.dss[each.value.topic].name
  role   = local.repair_grants.topics[each.value.topic]
  member = each.value.member
}

resource "google_pubsub_subscription_iam_member" "repair_operators" {
  for_each = {
    for grant in setproduct(var.repair_operators, keys(local.repair_grants.subscriptions)) :
    join(" ", grant) => { member = grant[0], name = grant[1] }
  }

  subscription = (
    each.value.name == local.dead_letters
    ? google_pubsub_subscription.dead_letters.name
    : google_pubsub_subscription.push[each.value.name].name
  )
  role   = local.repair_grants.subscriptions[each.value.name]
  member = each.value.member
}

resource "google_service_account_iam_member" "repair_operators" {
  for_each = {
    for grant in setproduct(var.repair_operators, keys(local.repair_grants.callers)) :
    join(" ", grant) => { member = grant[0], caller = grant[1] }
  }

  service_account_id = google_service_account.caller[each.value.caller].name
  role               = local.repair_grants.callers[each.value.caller]
  member             = each.value.member
}

# `dss admin secrets check`.
resource "google_secret_manager_secret_iam_member" "repair_operators" {
  for_each = toset(var.repair_operators)

  secret_id = google_secret_manager_secret.subscription_key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.key
}
