# Terraform makes the secrets, a person adds their values (docs/deploy.md): no value is in the state.

resource "google_secret_manager_secret" "signing_key" {
  secret_id = "dss-signing-key"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

# Encrypts the secrets of subscriptions, so that who can read the catalog cannot read them.
resource "google_secret_manager_secret" "subscription_key" {
  secret_id = "dss-subscription-key"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

resource "google_secret_manager_secret" "application_secrets" {
  secret_id = "dss-application-secrets"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

resource "google_secret_manager_secret" "smtp_password" {
  secret_id = "dss-smtp-password"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

# The key signs URLs in this account's name, and this account can only read: a person who gets
# the key can't write.
resource "google_service_account" "signer" {
  account_id   = "dss-signer"
  display_name = "DSS: in whose name URLs are signed"

  depends_on = [google_project_service.enabled]
}

resource "google_storage_bucket_iam_member" "signer_reads" {
  for_each = toset(["main", "checkout"])

  bucket = google_storage_bucket.dss[each.key].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.signer.member
}
