output "github_variables" {
  description = "Variables of the GitHub environment `build`."
  value = {
    WORKLOAD_IDENTITY_PROVIDER = module.github.provider
    SERVICE_ACCOUNT            = google_service_account.builder.email
    IMAGE                      = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.pipelines.repository_id}/tfx-pipeline"
  }
}
