output "runtime_file" {
  description = "What belongs into the runtime file of this environment; `image` is replaced by each release."
  value = yamlencode(merge(
    {
      project         = var.project
      region          = var.region
      bucket          = "gs://${google_storage_bucket.pipelines.name}"
      service_account = google_service_account.accounts["pipeline"].email
      tensorboard     = google_vertex_ai_tensorboard.training.name
      labels          = { environment = var.environment }
      notify          = { topic = google_pubsub_topic.jobs.id }
    },
    var.kms_key == null ? {} : { encryption_key = var.kms_key },
  ))
}

output "github_variables" {
  description = "Variables of the GitHub environment; VERTEX_RUNTIME is the whole runtime file, as text."
  value = {
    WORKLOAD_IDENTITY_PROVIDER = module.github.provider
    SERVICE_ACCOUNT            = google_service_account.accounts["submitter"].email
  }
}

output "image_readers" {
  description = "Who reads images: goes into `readers` of the build project."
  value = [
    local.agents.vertex,
    local.agents.dataflow,
    google_service_account.accounts["pipeline"].member,
  ]
  depends_on = [google_project_service_identity.agents]
}
