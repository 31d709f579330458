# A job of one repository, in one GitHub environment, acts as one service account. No keys: GitHub's token is exchanged for a
# short-lived one. The provider accepts no other tokens, and the account is open to no other identity.

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project
  workload_identity_pool_id = "github-${var.environment}"
  display_name              = "GitHub, ${var.environment}"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_condition                = "assertion.repository == '${var.repository}' && assertion.environment == '${var.environment}'"

  attribute_mapping = {
    "google.subject"   = "assertion.sub"
    "attribute.target" = "assertion.repository + ':' + assertion.environment"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  service_account_id = var.service_account
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.target/${var.repository}:${var.environment}"
}
