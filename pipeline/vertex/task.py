"""What every container of a Vertex AI job runs: `python -m pipeline.vertex.task --executor_class_path C ...`.

TFX's own entry point does nearly the same (`tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor`, whose arguments
these are). Here a failure ends in one line that says the cause, a stage that hangs is ended, only the chief of several workers
writes down what came out, and blessings of this project's own gate name their model so that a later run can find it.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from importlib import metadata
from typing import Any, NoReturn

from models.cluster import EVALUATOR, is_evaluator
from pipeline import lean_imports
from pipeline.local.causes import cause_of

# Roles in the TF_CONFIG of a custom job that do not train; "ps" is what Google calls its reduction servers there.
_NOT_TRAINING = ("ps", EVALUATOR)
_MODEL_ID = "current_model_id"


def main(arguments: Sequence[str]) -> int:
    """Run an executor; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    asked, beam_args = _parse(arguments)
    faulthandler.enable()
    lean_imports.install()
    lean_imports.without_kfp_client()
    leave_out_helpers(os.environ)
    if asked.compiled_by != own_tfx():
        print(
            f"This job was compiled by {asked.compiled_by}, and its image has {own_tfx()}: the one may not fit the other. "
            "Compile with the generation of the image (TFX_GENERATION, docs/adr/0002), or name an image of that generation.",
            file=sys.stderr,
        )
        return 2
    stage = asked.executor_class_path.rpartition(".")[2]
    try:
        _run(asked, beam_args)
    except KeyboardInterrupt:
        print(f"{stage} was interrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        traceback.print_exc()
        # Last, where the console of Vertex AI shows it.
        print(f"{asked.executor_class_path} failed: {cause_of(error)}", file=sys.stderr, flush=True)
        return 1
    return 0


def own_tfx() -> str:
    """Return the TFX of this environment as `--compiled_by` names it."""
    return f"tfx-{metadata.version('tfx')}"


def leave_out_helpers(environment: MutableMapping[str, str]) -> None:
    """Have TF_CONFIG name those that train, and nobody else; for an evaluator, which trains nothing, none at all."""
    if is_evaluator(environment):
        environment["TF_CONFIG"] = json.dumps({"task": {"type": EVALUATOR, "index": 0}})
        return
    config = json.loads(environment.get("TF_CONFIG") or "{}")
    cluster = config.get("cluster", {})
    if any(role in cluster for role in _NOT_TRAINING):
        config["cluster"] = {role: names for role, names in cluster.items() if role not in _NOT_TRAINING}
        environment["TF_CONFIG"] = json.dumps(config)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m pipeline.vertex.task", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True, help="Class of the executor: module.Class.")
    parser.add_argument("--json_serialized_invocation_args", required=True, help="ExecutorInput as JSON.")
    parser.add_argument("--json_serialized_inputs_spec_args", default="{}", help="ComponentInputsSpec as JSON.")
    parser.add_argument("--compiled_by", default=own_tfx(), help="What compiled the job, such as tfx-1.21.0: must be here.")
    parser.add_argument("--timeout_seconds", type=int, default=0, help="End the stage after so long; 0: never.")
    return parser.parse_known_args(list(arguments))


def _run(asked: argparse.Namespace, beam_args: list[str]) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as converting
    from tfx.orchestration.portable import outputs_utils
    from tfx.utils import import_utils

    invocation = pipeline_spec_pb2.ExecutorInput()
    json_format.Parse(asked.json_serialized_invocation_args, invocation, ignore_unknown_fields=True)
    spec = pipeline_spec_pb2.ComponentInputsSpec()
    json_format.Parse(asked.json_serialized_inputs_spec_args, spec, ignore_unknown_fields=True)
    output_file = invocation.outputs.output_file
    parameters = invocation.inputs.parameter_values
    if fileio.exists(output_file):  # of a driver, which ran before and has found out more
        found = pipeline_spec_pb2.ExecutorOutput()
        with fileio.open(output_file, "rb") as file:
            json_format.Parse(file.read(), found, ignore_unknown_fields=True)
        for key, value in found.parameter_values.items():
            parameters[key].CopyFrom(value)
    names: dict[int, str] = {}
    inputs = converting.parse_raw_artifact_dict(invocation.inputs.artifacts, names)
    outputs = converting.parse_raw_artifact_dict(invocation.outputs.artifacts, names)
    properties = converting.parse_execution_properties(parameters, invocation.inputs.parameters, spec)
    executor = _executor(import_utils.import_class_by_path(asked.executor_class_path), output_file, beam_args)
    logging.info("%s begins.", asked.executor_class_path)
    if asked.timeout_seconds:
        _end_after(asked.timeout_seconds)
    executor.Do(inputs, outputs, properties)
    if not _is_chief():
        return
    outputs_utils.tag_output_artifacts_with_version(outputs)
    _name_models(outputs, names)
    result = pipeline_spec_pb2.ExecutorOutput()
    for key, artifacts in converting.translate_executor_output(outputs, names).items():
        result.artifacts[key].CopyFrom(artifacts)
    fileio.makedirs(os.path.dirname(output_file))
    with fileio.open(output_file, "wb") as file:
        file.write(json_format.MessageToJson(result).encode())


def _executor(executor_class: Any, output_file: str, beam_args: list[str]) -> Any:
    """Return an executor in the context that it is made for."""
    task_folder = os.path.dirname(output_file)
    context: dict[str, Any] = {"unique_id": os.path.basename(task_folder), "tmp_dir": os.path.join(task_folder, ".temp")}
    if any(base.__name__ == "BaseBeamExecutor" for base in executor_class.__mro__):
        context["beam_pipeline_args"] = beam_args
    else:
        context["extra_flags"] = beam_args
    return executor_class(executor_class.Context(**context))


def _is_chief() -> bool:
    from models.cluster import is_chief

    return is_chief()


def _name_models(outputs: Mapping[str, Sequence[Any]], names: Mapping[int, str]) -> None:
    """Have blessings name their model as Vertex ML Metadata does: the resolver of the latest blessed model looks for that."""
    for artifacts in outputs.values():
        for artifact in artifacts:
            if artifact.has_custom_property(_MODEL_ID) and artifact.get_int_custom_property(_MODEL_ID) in names:
                artifact.set_string_custom_property(_MODEL_ID, names[artifact.get_int_custom_property(_MODEL_ID)])


def _end_after(seconds: int) -> None:
    def end(*_: object) -> NoReturn:
        faulthandler.dump_traceback(all_threads=True)
        print(
            f"Ended: it ran for more than {seconds / 3600:.3g} h (timeout_hours of the runtime file).",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
