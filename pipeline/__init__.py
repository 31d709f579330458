"""The pipeline: its configuration, its stages, the graph, and the two runtimes. The only package that imports TFX."""
