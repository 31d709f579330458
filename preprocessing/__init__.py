"""What happens to a raw feature, in training and in serving alike. TensorFlow and TensorFlow Transform only."""
