variable "project" {
  type        = string
  description = "Project that keeps the images of all environments."
}

variable "region" {
  type        = string
  description = "Region of the images: that of the pipelines, or every start of a task pays for the way."
}

variable "repository" {
  type        = string
  description = "Repository on GitHub, OWNER/NAME."
}

variable "readers" {
  type        = map(list(string))
  description = "Per environment: its output image_readers. Empty before the environments exist."
  default     = {}
}
