"""Runs TFX's own taxi template, straight from the installed wheel and with every stage on; prints what it took as JSON.

    python -m benchmarks.template_run DATA_FOLDER WORK_FOLDER BATCH_SIZE NUM_STEPS

A process of its own: what it imports, and when, is part of what is measured.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import time
from pathlib import Path
from types import ModuleType

TEMPLATE = "tfx.experimental.templates.taxi"


def template_pipeline() -> ModuleType:
    """Return the template's pipeline module with the stages on that it leaves to its users to turn on."""
    spec = importlib.util.find_spec(f"{TEMPLATE}.pipeline.pipeline")
    assert spec
    assert spec.origin
    source, num_stages = re.subn(r"# (components\.append\()", r"\1", Path(spec.origin).read_text("utf-8"))
    if num_stages < 7:
        raise SystemExit(f"The template has {num_stages} stages to turn on, expected 7 or more. Has TFX changed?")
    # Its ExampleValidator and ImportSchemaGen are for users who bring a schema: here it is inferred, as by default.
    source = source.replace("  components.append(example_validator)", "  pass")
    module = ModuleType("template_pipeline")
    exec(compile(source, spec.origin, "exec"), module.__dict__)
    return module


def main(data: str, work: Path, batch_size: int, num_steps: int) -> None:
    """Run it."""
    from tfx import v1 as tfx
    from tfx.experimental.templates.taxi.models.keras_model import constants
    from tfx.orchestration.portable import launcher

    constants.TRAIN_BATCH_SIZE = constants.EVAL_BATCH_SIZE = batch_size
    stages: dict[str, float] = {}
    began: list[float] = []
    fit_seconds: list[float] = []
    launch = launcher.Launcher.launch

    def timed(self: launcher.Launcher) -> object:
        if self._pipeline_node.node_info.id == "Trainer":
            _time_fit(fit_seconds)
        began.append(time.time())
        try:
            return launch(self)
        finally:
            stages[self._pipeline_node.node_info.id] = time.time() - began[-1]

    launcher.Launcher.launch = timed
    pipeline = template_pipeline().create_pipeline(
        pipeline_name="template",
        pipeline_root=str(work / "artifacts"),
        data_path=data,
        preprocessing_fn=f"{TEMPLATE}.models.preprocessing.preprocessing_fn",
        run_fn=f"{TEMPLATE}.models.keras_model.model.run_fn",
        train_args=tfx.proto.TrainArgs(num_steps=num_steps),
        eval_args=tfx.proto.EvalArgs(num_steps=150),
        eval_accuracy_threshold=0.6,
        serving_model_dir=str(work / "pushed"),
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(work / "metadata.db")),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)
    pushed = any((work / "pushed").glob("*"))
    print(json.dumps({"first_stage_at": began[0], "stages": stages, "fit_seconds": sum(fit_seconds), "pushed": pushed}))


def _time_fit(seconds: list[float]) -> None:
    """Note what every training takes from now on."""
    import tensorflow as tf

    fit = tf.keras.Model.fit

    def timed(self: object, *arguments: object, **named: object) -> object:
        start = time.time()
        try:
            return fit(self, *arguments, **named)
        finally:
            seconds.append(time.time() - start)

    tf.keras.Model.fit = timed


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
