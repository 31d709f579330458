"""What is done for one generation of TFX holds on both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BEAM_PROGRAM = """
import logging
from pipeline import lean_imports
lean_imports.install()
lean_imports.read_beam()
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
logging.basicConfig(level=logging.INFO)
with beam.Pipeline(options=PipelineOptions(["--runner=DirectRunner"])) as pipeline:
    pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum) | beam.Map(lambda total: print("total", total))
"""

TFMA_PROGRAM = """
from pipeline import lean_imports
lean_imports.install()
from pipeline.generations import complete_tfma
complete_tfma()
import tensorflow_model_analysis as tfma
config = tfma.EvalConfig(model_specs=[tfma.ModelSpec(label_key="label")])
print("label", tfma.utils.update_eval_config_with_defaults(config).model_specs[0].label_key)
"""


def run(program: str, repository: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_beams_direct_runner_runs_in_the_process_and_downloads_nothing(repository: Path) -> None:
    done = run(BEAM_PROGRAM, repository)
    assert "total 6" in done.stdout.splitlines()
    assert "ownloading" not in done.stderr
    assert "Listening for workers" not in done.stderr


def test_evaluator_finds_the_protocol_buffers_that_it_takes_from_tfma(repository: Path) -> None:
    assert "label label" in run(TFMA_PROGRAM, repository).stdout.splitlines()
