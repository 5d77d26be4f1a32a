terraform {
  # 1.11 is the first with write-only arguments and stable mocks in `terraform test`.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "6.50.0"
    }
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
    time = {
      source  = "hashicorp/time"
      version = "0.13.1"
    }
  }

  # The bucket is given at `terraform init -backend-config=bucket=NAME`.
  backend "gcs" {
    prefix = "dss"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region
}

provider "aws" {
  region = var.aws_region

  # Builds. The session lasts as long as a build may; without this it would end after an hour.
  dynamic "assume_role_with_web_identity" {
    for_each = var.aws_deploy_role_arn[*]
    content {
      role_arn                = assume_role_with_web_identity.value
      session_name            = "dss-deploy"
      web_identity_token_file = "/workspace/aws-token"
      duration                = "2h"
    }
  }

  default_tags {
    tags = local.labels
  }
}
