"""What a generation of TFX does with its own models or with another's: `exchange.py run|use FOLDER [LEFT]`, as a process.

FOLDER holds config.yaml and root/. `run` runs the pipeline. `use` serves what was pushed and compresses the Keras model by the
Compressor itself, and leaves in LEFT scores.csv, edge_scores.csv and report.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tfx.types import standard_artifacts

from pipeline.artifacts import EDGE_REPORT_FILE, EdgeModel
from pipeline.config import load_config
from pipeline.graph import build_pipeline
from pipeline.local.run import RunOptions, run
from pipeline.local.runtime import LocalRuntime
from pipeline.predicting.command import PredictOptions, predict


def use(folder: Path, left: Path) -> int:
    """Serve and compress; return the exit code."""
    left.mkdir()
    code = 0
    for kind, name in (("saved_model", "scores.csv"), ("edge", "edge_scores.csv")):
        model = folder / "root" / "pushed" / kind / "1"
        code = code or predict(PredictOptions(str(model), str(folder / "data.csv"), str(left / name)))
    return code or compress(folder, left)


def compress(folder: Path, left: Path) -> int:
    """Run the executor of the Compressor on the artifacts of the run."""
    from pipeline.components.compressor_executor import Executor

    graph = build_pipeline(load_config(folder / "config.yaml"), LocalRuntime(folder / "root"))
    (stage,) = [component for component in graph.components if component.id == "Compressor"]
    artifacts = folder / "root" / "artifacts"

    def given(kind: type, place: str):
        artifact = kind()
        (artifact.uri,) = map(str, (artifacts / place).iterdir())
        return [artifact]

    inputs = {
        "model": given(standard_artifacts.Model, "Trainer/model"),
        "transform_graph": given(standard_artifacts.TransformGraph, "Transform/transform_graph"),
        "examples": given(standard_artifacts.Examples, "Transform/transformed_examples"),
        "raw_examples": given(standard_artifacts.Examples, "ExampleGen/examples"),
    }
    for examples in (*inputs["examples"], *inputs["raw_examples"]):
        examples.split_names = '["train", "eval"]'
    edge, blessing = EdgeModel(), standard_artifacts.InfraBlessing()
    edge.uri, blessing.uri = str(left / "edge"), str(left / "blessing")
    Executor().Do(inputs, {"edge_model": [edge], "blessing": [blessing]}, {"settings": stage.exec_properties["settings"]})
    (left / "edge" / EDGE_REPORT_FILE).rename(left / "report.json")
    failed = [variant["error"] for variant in json.loads((left / "report.json").read_text())["variants"] if variant["error"]]
    print(*failed, file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    verb, where = sys.argv[1], Path(sys.argv[2])
    sys.exit(
        use(where, Path(sys.argv[3])) if verb == "use" else run(RunOptions(where / "config.yaml", where / "root", fresh=True))
    )
