# Each root names its providers for itself: Terraform wants it so.
terraform {
  required_version = ">= 1.5"

  # terraform init -backend-config=build.gcs.tfbackend
  backend "gcs" {}

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}
