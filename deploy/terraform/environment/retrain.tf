# Continuous training: docs/continuous_training.md.

data "archive_file" "retrain" {
  type        = "zip"
  source_dir  = "${path.module}/../../functions/retrain"
  output_path = "${path.module}/.terraform/retrain-${var.environment}.zip"
  excludes    = ["__pycache__", "requirements.in"]
}

resource "google_storage_bucket_object" "retrain" {
  bucket = google_storage_bucket.pipelines.name
  name   = "functions/retrain-${data.archive_file.retrain.output_md5}.zip"
  source = data.archive_file.retrain.output_path
}

resource "google_cloudfunctions2_function" "retrain" {
  project     = var.project
  location    = var.region
  name        = "retrain"
  description = "Submits the promoted job: by the clock, for a new span, after drift."

  build_config {
    runtime         = "python312"
    entry_point     = "retrain"
    service_account = google_service_account.accounts["retrain-build"].id

    source {
      storage_source {
        bucket = google_storage_bucket.pipelines.name
        object = google_storage_bucket_object.retrain.name
      }
    }
  }

  # One instance: it decides one event at a time whether there is to be a job.
  service_config {
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    timeout_seconds                  = 120
    min_instance_count               = 0
    max_instance_count               = 1
    max_instance_request_concurrency = 40
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    service_account_email            = google_service_account.accounts["retrain"].email

    environment_variables = {
      PROJECT           = var.project
      REGION            = var.region
      BUCKET            = var.bucket
      PIPELINE          = var.pipeline
      DATA_BUCKET       = local.data_bucket
      SPAN_MARKER       = var.span_marker
      MIN_HOURS_BETWEEN = tostring(var.min_hours_between)
    }
  }

  depends_on = [google_project_iam_member.accounts, google_project_service.apis]
}

resource "google_cloud_scheduler_job" "retrain" {
  count = var.schedule == null ? 0 : 1

  project          = var.project
  region           = var.region
  name             = "retrain-${var.pipeline}"
  description      = "Scheduled training."
  schedule         = var.schedule
  time_zone        = var.time_zone
  attempt_deadline = "180s"

  retry_config {
    retry_count          = 5
    min_backoff_duration = "60s"
    max_backoff_duration = "600s"
  }

  http_target {
    http_method = "POST"
    uri         = google_cloudfunctions2_function.retrain.service_config[0].uri
    body        = base64encode("{}")

    # A CloudEvent. Which moment it stands for, Cloud Scheduler says in a header of its own.
    headers = {
      "Content-Type"   = "application/json"
      "ce-specversion" = "1.0"
      "ce-type"        = "pipeline.retrain.schedule"
      "ce-source"      = "//cloudscheduler.googleapis.com/projects/${var.project}/locations/${var.region}/jobs/retrain-${var.pipeline}"
      "ce-id"          = "schedule"
    }

    oidc_token {
      service_account_email = google_service_account.accounts["retrain-scheduler"].email
      audience              = google_cloudfunctions2_function.retrain.service_config[0].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.calls, google_project_service.apis]
}

# Every new object of these buckets is an event: Eventarc knows no folders. The function leaves out what is none of its causes.
resource "google_eventarc_trigger" "objects" {
  for_each = {
    for bucket in toset([var.bucket, local.data_bucket]) : bucket =>
    bucket == var.bucket ? var.region : coalesce(var.data_bucket_location, var.region)
  }

  project         = var.project
  location        = each.value
  name            = "retrain-${substr(sha256(each.key), 0, 8)}"
  service_account = google_service_account.accounts["retrain-events"].email

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }

  matching_criteria {
    attribute = "bucket"
    value     = each.key
  }

  destination {
    cloud_run_service {
      service = google_cloudfunctions2_function.retrain.name
      region  = var.region
    }
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.calls,
    google_project_iam_member.accounts,
    google_project_iam_member.storage_agent,
    google_project_service_identity.agents,
    google_storage_bucket.pipelines,
  ]
}
