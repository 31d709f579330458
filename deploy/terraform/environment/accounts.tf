# Who does what; docs/ci_cd.md has the same in a table, and a test holds the two to each other.

resource "google_service_account" "pipeline" {
  project      = var.project
  account_id   = "pipeline"
  display_name = "Tasks of the pipeline"
  depends_on   = [google_project_service.apis]
}

resource "google_service_account" "submitter" {
  project      = var.project
  account_id   = "submitter"
  display_name = "Submits a release"
  depends_on   = [google_project_service.apis]
}

resource "google_service_account" "retrain" {
  project      = var.project
  account_id   = "retrain"
  display_name = "The function of continuous training"
  depends_on   = [google_project_service.apis]
}

resource "google_service_account" "retrain_build" {
  project      = var.project
  account_id   = "retrain-build"
  display_name = "Builds that function"
  depends_on   = [google_project_service.apis]
}

resource "google_service_account" "scheduler" {
  project      = var.project
  account_id   = "retrain-scheduler"
  display_name = "Calls that function by the clock"
  depends_on   = [google_project_service.apis]
}

resource "google_service_account" "events" {
  project      = var.project
  account_id   = "retrain-events"
  display_name = "Brings that function its events"
  depends_on   = [google_project_service.apis]
}

module "github" {
  source = "../modules/github_identity"

  project         = var.project
  repository      = var.repository
  environment     = var.environment
  service_account = google_service_account.submitter.name
}

# Tasks: they start custom jobs and Dataflow jobs, which run as the same account.

resource "google_project_iam_member" "pipeline" {
  for_each = toset(["roles/aiplatform.user", "roles/dataflow.developer", "roles/dataflow.worker"])

  project = var.project
  role    = each.value
  member  = google_service_account.pipeline.member
}

resource "google_storage_bucket_iam_member" "pipeline" {
  for_each = toset(["roles/storage.objectUser", "roles/storage.legacyBucketReader"])

  bucket = google_storage_bucket.pipelines.name
  role   = each.value
  member = google_service_account.pipeline.member
}

resource "google_service_account_iam_member" "pipeline_as_pipeline" {
  service_account_id = google_service_account.pipeline.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline.member
}

resource "google_pubsub_topic_iam_member" "pipeline" {
  project = var.project
  topic   = google_pubsub_topic.jobs.name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.pipeline.member
}

# A release: it submits, and publishes the job that passed.

resource "google_project_iam_member" "submitter" {
  project = var.project
  role    = "roles/aiplatform.user"
  member  = google_service_account.submitter.member
}

resource "google_storage_bucket_iam_member" "submitter" {
  bucket = google_storage_bucket.pipelines.name
  role   = "roles/storage.objectUser"
  member = google_service_account.submitter.member

  condition {
    title      = "promoted jobs only"
    expression = "resource.name.startsWith('projects/_/buckets/${var.bucket}/objects/${var.pipeline}/promoted/')"
  }
}

resource "google_service_account_iam_member" "submitter_as_pipeline" {
  service_account_id = google_service_account.pipeline.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.submitter.member
}

# The function: it reads the promoted job, markers and reports, and submits.

resource "google_project_iam_member" "retrain" {
  project = var.project
  role    = "roles/aiplatform.user"
  member  = google_service_account.retrain.member
}

resource "google_storage_bucket_iam_member" "retrain" {
  bucket = google_storage_bucket.pipelines.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.retrain.member
}

resource "google_service_account_iam_member" "retrain_as_pipeline" {
  service_account_id = google_service_account.pipeline.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.retrain.member
}

resource "google_project_iam_member" "retrain_build" {
  project = var.project
  role    = "roles/cloudbuild.builds.builder"
  member  = google_service_account.retrain_build.member
}

# Those who call it.

resource "google_cloud_run_v2_service_iam_member" "scheduler" {
  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.retrain.name
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_cloud_run_v2_service_iam_member" "events" {
  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.retrain.name
  role     = "roles/run.invoker"
  member   = google_service_account.events.member
}

resource "google_project_iam_member" "events" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.events.member
}

# Cloud Storage tells of objects by way of Pub/Sub.
resource "google_project_iam_member" "storage_agent" {
  project = var.project
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage.member
}

# Data in a bucket of its own.

resource "google_storage_bucket_iam_member" "pipeline_data" {
  count = var.data_bucket == null ? 0 : 1

  bucket = local.data_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.pipeline.member
}

resource "google_storage_bucket_iam_member" "retrain_data" {
  count = var.data_bucket == null ? 0 : 1

  bucket = local.data_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.retrain.member
}
