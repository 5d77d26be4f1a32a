# A deployment that people rely on. Without a stage its names are the plain ones: build it with _STAGE empty.

oidc_issuer    = "https://issuer.example"
oidc_audiences = ["https://dss.example"]
write_groups   = ["dss"]
admin_emails   = ["you@example.org"]
alert_emails   = ["operators@example.org", "on-call@example.org"]
operators      = ["group:operators@example.org"]

# Its own host, behind a load balancer that refuses floods (apply terraform/bootstrap/ with
# options = ["load_balancer"]). `required = true` as soon as its certificate is there.
public_url    = "https://dss.example"
load_balancer = { required = false }

# The first caller of the day waits for no instance.
api_min_instances = 1

# Kept, and locked for good: nobody can delete it earlier, you included.
audit_log_days        = 400
main_soft_delete_days = 30

replication_alert_seconds = 1800
event_alert_seconds       = 1800
