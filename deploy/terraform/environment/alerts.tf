# What `notify: {topic: ...}` of the runtime file publishes to: how each job ended, for whoever subscribes.
resource "google_pubsub_topic" "jobs" {
  project    = var.project
  name       = "pipeline-jobs"
  depends_on = [google_project_service.apis]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  project      = var.project
  display_name = "Pipelines: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
  depends_on   = [google_project_service.apis]
}

locals {
  alerts = {
    job = {
      title  = "A pipeline job failed"
      what   = <<-EOT
        A stage failed: `runner_vertex.py status JOB` says which, and why. If that was before Pusher, the champion stays.
        A gate that is not passed fails no job and sends no such mail: the job succeeds and pushes nothing. `notify` of the
        runtime file tells of that, as `not_blessed`.
      EOT
      filter = <<-EOT
        resource.type="aiplatform.googleapis.com/PipelineJob"
        logName="projects/${var.project}/logs/aiplatform.googleapis.com%2Fpipeline_job_events"
        jsonPayload.state="PIPELINE_STATE_FAILED"
      EOT
    }
    # Not by the status of answers: the function refuses an event that is to come back later.
    retrain = {
      title  = "Continuous training: an error"
      what   = "The message of the log entry says what is wrong. What becomes of the event: docs/continuous_training.md."
      filter = <<-EOT
        resource.type="cloud_run_revision"
        resource.labels.service_name="${google_cloudfunctions2_function.retrain.name}"
        severity>=ERROR
        logName!="projects/${var.project}/logs/run.googleapis.com%2Frequests"
      EOT
    }
  }
}

resource "google_monitoring_alert_policy" "alerts" {
  for_each = local.alerts

  project               = var.project
  display_name          = "${each.value.title} (${var.environment})"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  documentation {
    content   = each.value.what
    mime_type = "text/markdown"
  }

  depends_on = [google_project_service.apis]
}
