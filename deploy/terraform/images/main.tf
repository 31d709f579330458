# The project that builds: one repository of images, written by the workflow in GitHub's environment `build`, read by the others.

resource "google_project_service" "apis" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "sts.googleapis.com",
  ])

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "pipelines" {
  project       = var.project
  location      = var.region
  repository_id = "pipelines"
  format        = "DOCKER"
  description   = "Images of pipelines, one for all environments."

  docker_config {
    immutable_tags = true
  }

  depends_on = [google_project_service.apis]
}

resource "google_service_account" "builder" {
  project      = var.project
  account_id   = "builder"
  display_name = "Pushes images"

  depends_on = [google_project_service.apis]
}

module "github" {
  source = "../modules/github_identity"

  project         = var.project
  repository      = var.repository
  environment     = "build"
  service_account = google_service_account.builder.name
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.pipelines.repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "readers" {
  for_each = toset(flatten(values(var.readers)))

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.pipelines.repository_id
  role       = "roles/artifactregistry.reader"
  member     = each.value
}
