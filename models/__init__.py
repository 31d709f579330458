"""Keras models: building, training, exporting, compressing. Pure functions, testable without TFX."""
