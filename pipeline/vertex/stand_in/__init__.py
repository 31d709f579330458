"""A stand-in of the Vertex AI API on this machine: what asks the service can be run, and tested, without a cloud."""
