"""Rehearses a compiled Vertex AI pipeline job on this machine: walked as the service would, each task's own command run."""
