"""The example that ships inside every edge package; `predict.py` imports nothing of this project."""
