"""The Vertex AI runtime: the same graph compiled to a pipeline job."""
