# The catalogues, by which people find data by facets (docs/explore-operations.md): in the database of the search index.
locals {
  has_catalogues = length(var.catalogues) > 0
  # They call functions that are there with catalogues only.
  catalogue_workflows = ["manifest.yaml"]
  # Who writes into catalogues, or tells them of changes.
  catalogue_users = toset(["administer", "explore", "importer", "index", "manifest", "sweep", "sync"])
  # Of whom these open connections of their own for catalogues, beside those for the search index.
  catalogue_instances = local.has_catalogues ? var.api_max_instances + var.explore_max_instances + var.manifest_max_instances : 0
  # The name of a topic, and of the subscription that is sent it.
  changes        = "bundle-changes"
  changes_topics = local.has_catalogues ? [local.changes] : []

  # DRS ids and links of what is found are those of the API, in each function that indexes it.
  catalogues_environment = local.has_catalogues ? {
    DSS_CATALOGUES = jsonencode([for row in var.catalogues : merge(row, { options = jsondecode(row.options) })])
    DSS_PUBLIC_URL = local.api_public_url
  } : {}

  # Parsed, a document takes some 30 MiB at most, and what a bundle of 10,000 files says as much again.
  catalogue_functions = { for name, row in {
    explore = {
      summary          = "Brings what bundles say into the catalogues."
      called_by        = "pubsub"
      memory           = "2Gi"
      timeout_seconds  = 540 # Pub/Sub gives up after 600.
      concurrency      = 4
      max_instances    = var.explore_max_instances
      gcs              = { main = "roles/storage.objectViewer" }
      s3               = { reads = ["main"], reads_sources = false, creates = [], aborts = [], removes = [], checks_out = false }
      catalog          = true
      publishes_to     = concat(["dead-letters"], local.changes_topics)
      starts_workflows = false
      environment      = {}
    }
    # A page of the catalogue and four pieces of 8 MiB, or the metadata of eight bundles at once, as above.
    manifest = {
      summary          = "Does the steps of manifests of catalogues' files."
      called_by        = "workflows"
      memory           = "1Gi"
      timeout_seconds  = 1800 # Cloud Workflows gives up after as long.
      concurrency      = 1
      max_instances    = var.manifest_max_instances
      gcs              = { main = "roles/storage.objectUser" }
      s3               = { reads = ["main"], reads_sources = false, creates = [], aborts = [], removes = [], checks_out = false }
      catalog          = true
      publishes_to     = []
      starts_workflows = false
      environment      = {}
    }
  } : name => row if local.has_catalogues }
}
