"""Imported ahead by the processes that tasks are forked from: what `pipeline.vertex.task` imports for every task."""

from __future__ import annotations

from pipeline import lean_imports

lean_imports.without_kfp_client()

import kfp.pipeline_spec.pipeline_spec_pb2  # noqa: E402, F401
import tfx.orchestration.kubeflow.v2.container.kubeflow_v2_entrypoint_utils  # noqa: E402
import tfx.orchestration.portable.outputs_utils  # noqa: E402, F401
