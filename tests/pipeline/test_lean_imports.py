"""What a local run imports before its first stage: nothing of what it does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from pipeline import lean_imports
lean_imports.install()
lean_imports.install()  # a second time changes nothing
import pipeline.graph, pipeline.local.execution, pipeline.local.summary
before = sorted(sys.modules)
from tfx.components import Tuner
import tfx.components
print(json.dumps({"before": before, "later": Tuner.__name__, "all": hasattr(tfx.components, "BulkInferrer")}))
"""


CONFIG_PROGRAM = """
import json, sys
from pathlib import Path
from pipeline import lean_imports
lean_imports.install()
from pipeline.config import load_config
from pipeline.local.preflight import check_data
check_data(load_config(Path("configs/taxi.yaml")))
below = [name for name in sys.modules if name.startswith(("tensorflow.", "tf_keras.", "tensorflow_transform."))]
import tensorflow as tf
print(json.dumps({"below": below, "sum": int(tf.reduce_sum([1, 2])), "keras": tf.keras.__name__}))
"""


def test_a_config_is_read_and_its_data_looked_at_without_tensorflow_which_comes_when_it_is_used(repository: Path):
    done = subprocess.run([sys.executable, "-c", CONFIG_PROGRAM], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["below"], told["sum"]) == ([], 3)
    assert told["keras"].startswith("tf_keras")


RUNNER_PROGRAM = """
import json, sys
from pathlib import Path
from pipeline import lean_imports
lean_imports.install()
from pipeline.config import load_config
config = load_config(Path("configs/taxi.yaml"))
lean_imports.orchestrating()
from pipeline.graph import build_pipeline
from pipeline.local.execution import CompiledPipeline
from pipeline.local.runtime import LocalRuntime
import pipeline.local.summary
stage_ids = CompiledPipeline(build_pipeline(config, LocalRuntime(Path(sys.argv[1]))), "run").stage_ids
heavy = ("tensorflow.python", "apache_beam", "tensorflow_data_validation.api", "tensorflow_model_analysis.api", "pandas")
loaded = [name for name in heavy if name in sys.modules]
import apache_beam, tensorflow as tf, tensorflow_model_analysis as tfma
later = [apache_beam.Pipeline.__name__, int(tf.abs(-3)), tfma.EvalResult.__name__]
print(json.dumps({"stages": len(stage_ids), "loaded": loaded, "later": later}))
"""


def test_a_runner_builds_the_graph_and_the_launcher_without_tensorflow_and_beam(repository: Path, tmp_path: Path):
    command = [sys.executable, "-c", RUNNER_PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"stages": 13, "loaded": [], "later": ["Pipeline", 3, "EvalResult"]}


@pytest.fixture(scope="module")
def imported(repository: Path) -> dict:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", ["google.cloud.aiplatform", "keras", "keras_tuner", "tensorflow_model_optimization", "kfp"])
def test_what_a_run_does_not_use_is_not_imported(imported: dict, module: str):
    assert module not in imported["before"]
    assert "tensorflow" in imported["before"]


def test_whoever_asks_for_a_component_gets_it(imported: dict):
    assert (imported["later"], imported["all"]) == ("Tuner", True)
