# Terraform makes the secrets, a person adds their values (docs/deploy.md): no value is in the state.

resource "google_secret_manager_secret" "signing_key" {
  secret_id = "${local.prefix}-signing-key"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

# Encrypts the secrets of subscriptions, so that who can read the catalog cannot read them.
resource "google_secret_manager_secret" "subscription_key" {
  secret_id = "${local.prefix}-subscription-key"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

resource "google_secret_manager_secret" "application_secrets" {
  secret_id = "${local.prefix}-application-secrets"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

# The clients by which people sign in to the pages; unlike that of command lines, it has secrets.
resource "google_secret_manager_secret" "sign_in_clients" {
  secret_id = "${local.prefix}-sign-in-clients"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

resource "google_secret_manager_secret" "smtp_password" {
  secret_id = "${local.prefix}-smtp-password"
  labels    = local.labels

  replication {
    auto {}
  }

  depends_on = [google_project_service.enabled]
}

# The key signs URLs in this account's name, and this account can only read: a person who gets
# the key can't write.
resource "google_service_account" "signer" {
  account_id   = "${local.prefix}-signer"
  display_name = "${local.title}: in whose name URLs are signed"

  depends_on = [google_project_service.enabled]
}

resource "google_storage_bucket_iam_member" "signer_reads" {
  for_each = toset(["main", "checkout"])

  bucket = google_storage_bucket.dss[each.key].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.signer.member
}
