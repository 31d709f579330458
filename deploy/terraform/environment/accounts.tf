# Who does what; README.md has the same in a table, and a test holds the two to each other.

locals {
  accounts = {
    pipeline          = "Tasks of the pipeline"
    submitter         = "Submits a release"
    retrain           = "The function of continuous training"
    retrain-build     = "Builds that function"
    retrain-scheduler = "Calls that function by the clock"
    retrain-events    = "Brings that function its events"
  }

  project_roles = {
    # Tasks start custom jobs and Dataflow jobs, which run as the same account.
    pipeline       = ["roles/aiplatform.user", "roles/dataflow.developer", "roles/dataflow.worker"]
    submitter      = ["roles/aiplatform.user"]
    retrain        = ["roles/aiplatform.user"]
    retrain-build  = ["roles/cloudbuild.builds.builder"]
    retrain-events = ["roles/eventarc.eventReceiver"]
  }

  # {"account role" = both}
  project_grants = merge([
    for account, roles in local.project_roles : { for role in roles : "${account} ${role}" => { account = account, role = role } }
  ]...)

  # Jobs run as `pipeline`, whoever starts them.
  starts_jobs = toset(["pipeline", "submitter", "retrain"])
  calls       = toset(["retrain-scheduler", "retrain-events"])
  reads_data  = var.data_bucket == null ? toset([]) : toset(["pipeline", "retrain"])
}

resource "google_service_account" "accounts" {
  for_each = local.accounts

  project      = var.project
  account_id   = each.key
  display_name = each.value
  depends_on   = [google_project_service.apis]
}

resource "google_project_iam_member" "accounts" {
  for_each = local.project_grants

  project = var.project
  role    = each.value.role
  member  = google_service_account.accounts[each.value.account].member
}

resource "google_service_account_iam_member" "starts_jobs" {
  for_each = local.starts_jobs

  service_account_id = google_service_account.accounts["pipeline"].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.accounts[each.key].member
}

module "github" {
  source = "../modules/github_identity"

  project         = var.project
  repository      = var.repository
  environment     = var.environment
  service_account = google_service_account.accounts["submitter"].name
}

# The bucket of the pipeline, and its topic.

resource "google_storage_bucket_iam_member" "pipeline" {
  for_each = toset(["roles/storage.objectUser", "roles/storage.legacyBucketReader"])

  bucket = google_storage_bucket.pipelines.name
  role   = each.value
  member = google_service_account.accounts["pipeline"].member
}

# A release publishes the job that passed.
resource "google_storage_bucket_iam_member" "submitter" {
  bucket = google_storage_bucket.pipelines.name
  role   = "roles/storage.objectUser"
  member = google_service_account.accounts["submitter"].member

  condition {
    title      = "promoted jobs only"
    expression = "resource.name.startsWith('projects/_/buckets/${var.bucket}/objects/${var.pipeline}/promoted/')"
  }
}

# The function reads the promoted job, markers and reports.
resource "google_storage_bucket_iam_member" "retrain" {
  bucket = google_storage_bucket.pipelines.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.accounts["retrain"].member
}

resource "google_pubsub_topic_iam_member" "pipeline" {
  project = var.project
  topic   = google_pubsub_topic.jobs.name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.accounts["pipeline"].member
}

# Data in a bucket of its own.
resource "google_storage_bucket_iam_member" "data" {
  for_each = local.reads_data

  bucket = local.data_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.accounts[each.key].member
}

# Those who call the function.

resource "google_cloud_run_v2_service_iam_member" "calls" {
  for_each = local.calls

  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.retrain.name
  role     = "roles/run.invoker"
  member   = google_service_account.accounts[each.key].member
}

# Cloud Storage tells of objects by way of Pub/Sub.
resource "google_project_iam_member" "storage_agent" {
  project = var.project
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage.member
}
