"""The local runtime: the graph on this machine, on Beam's in-process runner and ML Metadata in SQLite."""
