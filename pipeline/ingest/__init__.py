"""From files to tf.Examples, in blocks of columns. Pure functions: no TFX in here."""
