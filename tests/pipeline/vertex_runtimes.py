"""What the runtime files of tests have in common."""

RUNTIME = {
    "project": "my-project",
    "region": "europe-west4",
    "bucket": "gs://my-bucket",
    "image": "europe-west4-docker.pkg.dev/my-project/repo/image@sha256:" + "0" * 64,
    "service_account": "pipeline@my-project.iam.gserviceaccount.com",
}
