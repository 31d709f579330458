"""What a pushed model came from: read from ML Metadata, kept beside each run, shown as a tree, JSON or OpenLineage events."""
