variable "project" {
  type        = string
  description = "Project that the identities live in."
}

variable "repository" {
  type        = string
  description = "Repository on GitHub, OWNER/NAME."
}

variable "environment" {
  type        = string
  description = "GitHub environment whose jobs may sign in; its reviewers approve."
}

variable "service_account" {
  type        = string
  description = "Full name of the service account that such a job acts as."
}
