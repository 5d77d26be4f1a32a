# A deployment to try things with, which costs next to nothing at rest. Its stage is `dev`: build it with _STAGE=dev.

oidc_issuer    = "https://issuer.example"
oidc_audiences = ["https://dss-dev.example"]
write_groups   = ["dss"]
admin_emails   = ["you@example.org"]
alert_emails   = ["you@example.org"]

# What is put here goes away again, and so can the deployment.
audit_log_locked      = false
audit_log_days        = 30
main_soft_delete_days = 0
staging_ttl_days      = 3
checkout_ttl_days     = 3

# Of two stages in one project, one switches on the project's logs of data access.
audits_project = false

# Enough to work with, and nobody empties an account by mistake.
api_max_instances      = 3
sync_max_instances     = 3
copy_max_instances     = 3
index_max_instances    = 3
notify_max_instances   = 3
deliver_max_instances  = 3
checkout_max_instances = 3
checkouts_at_once      = 10
