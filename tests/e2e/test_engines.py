"""Statistics, transform and evaluation in this process find what TFX's own components find on Beam."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
import tensorflow_transform as tft
from pipeline_runs import Finished, run_here

from pipeline.columnar.evaluating import Question, evaluation, write_evaluation
from pipeline.evaluation import eval_config, read_evaluation

pytestmark = pytest.mark.e2e

SLICES = (("trip_start_hour",), ("payment_type",))
METRICS = ("auc", "accuracy", "log_loss")


@pytest.fixture(scope="module")
def beam(taxi: Finished, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The taxi pipeline on Beam, trained briefly: the model is not what is compared."""
    root = tmp_path_factory.mktemp("beam") / "root"
    overrides = ("compression=null", "fit.epochs=2", "gates=[{kind: bound, metric: auc, bound: 0.5}]")
    done = run_here(repository / "configs" / "taxi.yaml", root, *overrides, engine="beam")
    assert done.code == 0, done.output
    return done


def features(done: Finished, split: str) -> Mapping[str, object]:
    """Return the statistics of every column."""
    file = done.folder("StatisticsGen", "statistics") / f"Split-{split}" / "FeatureStats.pb"
    (dataset,) = tfdv.load_stats_binary(str(file)).datasets
    return {feature.path.step[0]: feature for feature in dataset.features}


@pytest.mark.parametrize("split", ["train", "eval"])
def test_statistics_are_equal(taxi: Finished, beam: Finished, split: str) -> None:
    mine, theirs = features(taxi, split), features(beam, split)
    assert len(mine) == 19
    assert mine.keys() == theirs.keys()
    for name, feature in theirs.items():
        assert mine[name].type == feature.type
        for kind in ("num_stats", "string_stats"):
            if not feature.HasField(kind):
                continue
            found, expected = getattr(mine[name], kind), getattr(feature, kind)
            assert found.common_stats.num_missing == expected.common_stats.num_missing, name
            for number in ("mean", "std_dev", "min", "max", "median", "num_zeros", "unique", "avg_length"):
                if hasattr(expected, number):
                    assert getattr(found, number) == pytest.approx(getattr(expected, number), rel=1e-9), (name, number)
        if feature.HasField("string_stats"):
            tops = [[(v.value, v.frequency) for v in f.string_stats.top_values] for f in (mine[name], feature)]
            assert tops[0] == tops[1]


@pytest.mark.parametrize("split", ["train", "eval"])
def test_transformed_examples_are_equal(taxi: Finished, beam: Finished, split: str) -> None:
    transform = tft.TFTransformOutput(str(beam.folder("Transform", "transform_graph")))
    mine, theirs = (_rows(done, split, transform) for done in (taxi, beam))
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5)


def _rows(done: Finished, split: str, transform: tft.TFTransformOutput) -> np.ndarray:
    """Return every transformed row side by side, sorted: Beam keeps no order."""
    files = sorted(map(str, (done.folder("Transform", "transformed_examples") / f"Split-{split}").iterdir()))
    records = tf.constant(list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()))
    parsed = tf.io.parse_example(records, transform.transformed_feature_spec())
    rows = np.concatenate(
        [parsed[name].numpy().astype(np.float64).reshape(len(records), -1) for name in sorted(parsed)], axis=1
    )
    return rows[np.lexsort(np.round(rows, 4).T)]


def test_schemas_and_vocabularies_are_equal(taxi: Finished, beam: Finished) -> None:
    mine, theirs = (tft.TFTransformOutput(str(done.folder("Transform", "transform_graph"))) for done in (taxi, beam))
    assert mine.transformed_metadata.schema == theirs.transformed_metadata.schema
    assert mine.raw_metadata.schema == theirs.raw_metadata.schema
    assert mine.vocabulary_by_name("company") == theirs.vocabulary_by_name("company")


def test_evaluation_of_a_regression_is_read_in_its_own_unit(tmp_path: Path) -> None:
    results = {(): (3, {"candidate": {"rmse": 7.5, "mae": 6.0}}), (("city", "Bern"),): (2, {"candidate": {"rmse": 2.0}})}
    config = eval_config("regression", "price", ("rmse", "mae"), (("city",),))
    del config.model_specs[1:]
    write_evaluation(str(tmp_path), results, config, {"candidate": "model"}, "eval")
    read = read_evaluation(str(tmp_path), "regression", {})
    assert read.candidate == {"rmse": 7.5, "mae": 6.0}
    assert [(s.name, s.examples, s.metrics) for s in read.slices] == [("city:Bern", 2, {"rmse": 2.0})]


def test_evaluation_is_tfmas_and_is_read_by_it(beam: Finished, tmp_path: Path) -> None:
    files = sorted(map(str, (beam.folder("ExampleGen", "examples") / "Split-eval").iterdir()))
    models = {"candidate": str(beam.folder("Trainer", "model") / "Format-Serving")}
    results = evaluation(files, models, Question("binary", "big_tipper", METRICS, SLICES))
    config = eval_config("binary", "big_tipper", METRICS, SLICES)
    del config.model_specs[1:]
    write_evaluation(str(tmp_path), results, config, models, "eval")
    mine = read_evaluation(str(tmp_path), "binary", {})
    theirs = read_evaluation(str(beam.folder("Evaluator", "evaluation")), "binary", {})
    # TFMA cuts the curve at 10,000 thresholds.
    tolerances = {"auc": 2e-4, "accuracy": 1e-9, "log_loss": 1e-5}
    assert mine.candidate.keys() == theirs.candidate.keys() == set(METRICS)
    for name, value in theirs.candidate.items():
        assert mine.candidate[name] == pytest.approx(value, abs=tolerances[name])
    assert [(s.name, s.examples, sorted(s.metrics)) for s in mine.slices] == [
        (s.name, s.examples, sorted(s.metrics)) for s in theirs.slices
    ]
    for own, other in zip(mine.slices, theirs.slices, strict=True):
        for name, value in other.metrics.items():
            assert own.metrics[name] == pytest.approx(value, abs=10 * tolerances[name]), own.name
    assert len(tfma.load_eval_result(str(tmp_path)).slicing_metrics) == len(mine.slices) + 1
