"""From a trained Keras model to a small `.tflite`: one technique a file, each measured and gated."""
