variable "environment" {
  type        = string
  description = "dev, staging or prod: the GitHub environment of that name submits here."

  validation {
    condition     = contains(["dev", "staging", "prod"], var.environment)
    error_message = "The environment must be dev, staging or prod."
  }
}

variable "project" {
  type        = string
  description = "Project of this environment; each has its own."
}

variable "region" {
  type        = string
  description = "Region of everything that runs."
}

variable "repository" {
  type        = string
  description = "Repository on GitHub, OWNER/NAME."
}

variable "pipeline" {
  type        = string
  description = "Name of the pipeline: `name` in its config."
}

variable "bucket" {
  type        = string
  description = "Name of the bucket to create for artifacts, pushed models and the promoted job; without gs://."
}

variable "data_bucket" {
  type        = string
  description = "Bucket that exists and holds the data, without gs://; null where the data lies in `bucket`."
  default     = null
}

variable "data_bucket_location" {
  type        = string
  description = "Location of data_bucket, in small letters, if it is another than the region: Eventarc listens there."
  default     = null
}

variable "span_marker" {
  type        = string
  description = "Object that says that a span is complete, such as taxi/span-{SPAN}/_SUCCESS; empty: no span starts a job."
  default     = ""
}

variable "schedule" {
  type        = string
  description = "Cron of the scheduled training, null for none."
  default     = null
}

variable "time_zone" {
  type        = string
  description = "Time zone of the schedule, such as Europe/Berlin."
  default     = "Etc/UTC"
}

variable "min_hours_between" {
  type        = number
  description = "Hours from the start of a job, whoever started it, to that of the next that continuous training starts."
  default     = 6

  validation {
    condition     = var.min_hours_between >= 0 && var.min_hours_between <= 20
    error_message = "min_hours_between must be 0 to 20: an event is delivered for 24 hours only."
  }
}

variable "alert_emails" {
  type        = set(string)
  description = "Who is told of failed jobs and of errors of the function."
}

variable "kms_key" {
  type        = string
  description = "Key for bucket and TensorBoard, projects/P/locations/REGION/keyRings/R/cryptoKeys/K; null: Google's own."
  default     = null
}

variable "scratch_days" {
  type        = number
  description = "Days after which scratch files of Dataflow go."
  default     = 14
}

variable "noncurrent_days" {
  type        = number
  description = "Days for which overwritten and deleted objects can be brought back."
  default     = 30
}
