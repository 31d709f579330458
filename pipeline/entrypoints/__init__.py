"""What TFX's Transform and Trainer call: thin, stateless adapters onto preprocessing/ and models/. One module a stage, so that
an edit in the model is no cache miss for Transform.
"""
