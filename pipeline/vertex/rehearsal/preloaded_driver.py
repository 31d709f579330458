"""Imported ahead by the process without TensorFlow: TFX's driver of ExampleGen."""

from __future__ import annotations

from pipeline import lean_imports

lean_imports.example_messages()

import tfx.orchestration.kubeflow.v2.file_based_example_gen.driver  # noqa: E402, F401
