# What a deployment must be, with any variables: `terraform test`, which needs no account. Python's tests
# (tests/terraform/) look at all of a plan, and hold it against the code.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_compute_global_address" {
    defaults = { address = "203.0.113.9" }
  }
}

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:111122223333:dss-object-events" }
  }
}

mock_provider "time" {}

variables {
  project_id     = "a-project"
  image          = "us-east1-docker.pkg.dev/a-project/dss/dss:1"
  oidc_issuer    = "https://issuer.example"
  oidc_audiences = ["https://dss.example"]
}

run "by_default" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.api.ingress == "INGRESS_TRAFFIC_ALL"
    error_message = "The API takes requests from everywhere, unless a variable says otherwise."
  }

  assert {
    condition = alltrue([
      for name, service in google_cloud_run_v2_service.function :
      service.ingress == (name == "s3_events" ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_ONLY")
    ])
    error_message = "Only the function that SNS calls is reached from outside."
  }

  assert {
    condition = toset([
      for service in concat([google_cloud_run_v2_service.api], values(google_cloud_run_v2_service.function)) :
      service.template[0].containers[0].image
    ]) == toset([var.image])
    error_message = "The API and the functions run one image."
  }

  assert {
    condition = alltrue([
      for service in concat([google_cloud_run_v2_service.api], values(google_cloud_run_v2_service.function)) :
      service.template[0].scaling[0].max_instance_count <= 20
    ])
    error_message = "A new project has 20 vCPU in a region, and Cloud Run refuses what could need more."
  }

  assert {
    condition = alltrue([
      for bucket in google_storage_bucket.dss :
      bucket.public_access_prevention == "enforced" && bucket.uniform_bucket_level_access
    ])
    error_message = "No bucket is public."
  }

  assert {
    condition     = google_firestore_database.catalog.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "The catalog is not deleted by a plan."
  }

  assert {
    condition = alltrue([
      for field in google_firestore_field.every :
      field.field == "*" && length(field.index_config[0].indexes) == 0 && length(field.ttl_config) == 0
    ])
    error_message = "What a collection's fields have by default is no index; Firestore refuses a time to live there."
  }

  assert {
    condition = toset([
      for field in google_firestore_field.own : field.collection
      if !contains(keys(google_firestore_field.every), field.collection)
    ]) == toset([])
    error_message = "A field has settings of its own in a collection whose other fields have indexes."
  }

  assert {
    condition = alltrue([
      for field in google_firestore_field.own :
      length(field.index_config[0].indexes) + length(field.ttl_config) == 1
    ])
    error_message = "A field has settings of its own for one index, or for a time to live."
  }
}

run "a_stage" {
  command = plan

  variables {
    stage = "dev"
  }

  assert {
    condition = alltrue([
      for service in concat([google_cloud_run_v2_service.api], values(google_cloud_run_v2_service.function)) :
      startswith(service.name, "dss-dev-")
    ])
    error_message = "Two stages share a project."
  }
}

run "private" {
  command = plan

  variables {
    private = true
  }

  assert {
    condition     = google_cloud_run_v2_service.api.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "A private API takes requests from the project's networks only."
  }
}

run "behind_the_load_balancer" {
  command = plan

  variables {
    public_url    = "https://dss.example.org"
    load_balancer = {}
  }

  assert {
    condition     = google_cloud_run_v2_service.api.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "Nobody goes round the load balancer."
  }
}

run "without_audiences" {
  command = plan

  variables {
    oidc_audiences = []
  }

  expect_failures = [var.oidc_audiences]
}

run "an_image_without_a_version" {
  command = plan

  variables {
    image = "us-east1-docker.pkg.dev/a-project/dss/dss"
  }

  expect_failures = [var.image]
}
