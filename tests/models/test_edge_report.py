"""compress(): what is measured on every variant, the gate, and the choice."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import metrics
from models.compression import report
from models.compression.quantization import CompressionConfig
from models.compression.report import Compressed, VariantReport


def compressed(trained, model: keras.Model | None = None, representative: dict | None = None, **config) -> Compressed:
    """Compress `trained` (or another model of the same inputs) with a gate on AUC."""
    gate = {"metric": "auc"} | {key: config.pop(key) for key in ("max_loss", "max_size_bytes") if key in config}
    return report.compress(
        model or trained.model,
        "binary",
        ["auc", "log_loss"],
        CompressionConfig.model_validate({"gate": gate} | config),
        representative or {name: x[:200] for name, x in trained.inputs.items()},
        trained.batches,
    )


def by_name(result: Compressed) -> dict[str, VariantReport]:
    return {variant.name: variant for variant in result.reports}


@pytest.fixture(scope="module")
def result(trained) -> Compressed:
    """All variants behind a gate that they pass."""
    return compressed(trained, max_loss=0.05)


def test_smallest_variant_that_passes_is_chosen(result):
    reports = by_name(result)
    assert list(reports) == ["float32", "float16", "dynamic", "int8"]
    assert {name: (variant.passed, variant.error) for name, variant in reports.items()} == dict.fromkeys(reports, (True, None))
    assert result.chosen in ("dynamic", "int8")
    assert reports[result.chosen].size_bytes == min(variant.size_bytes for variant in result.reports)


def test_sizes_are_those_of_the_contents(result):
    for variant in result.reports:
        assert variant.size_bytes == len(result.contents[variant.name])
        assert variant.gzip_bytes == len(gzip.compress(result.contents[variant.name], 9, mtime=0))


def test_reference_is_measured_as_the_keras_model_and_loses_nothing(trained, result):
    reference = by_name(result)["float32"]
    expected = metrics.evaluate("binary", ["auc", "log_loss"], trained.labels, trained.model.predict(trained.inputs, verbose=0))
    assert reference.metrics == pytest.approx(expected, abs=1e-4)
    assert reference.delta == {"auc": 0.0, "log_loss": 0.0}
    assert reference.techniques == ()


def test_every_variant_is_measured_against_the_reference(result):
    reference = by_name(result)["float32"]
    for variant in result.reports[1:]:
        assert variant.techniques == (variant.name,)
        assert variant.delta == {name: variant.metrics[name] - reference.metrics[name] for name in ("auc", "log_loss")}
        assert abs(variant.delta["auc"]) < 0.05
        assert variant.latency_us > 0
        assert variant.tensor_types
    assert result.reports[3].delta["log_loss"] != 0


def test_report_becomes_plain_values(result):
    values = result.reports[0].to_dict()
    assert sorted(values) == [
        "delta", "error", "gzip_bytes", "latency_us", "metrics", "name", "passed",
        "size_bytes", "sparsity", "techniques", "tensor_types",
    ]  # fmt: skip
    assert (values["name"], values["passed"], values["error"]) == ("float32", True, None)


def test_size_gate_fails_what_is_too_large_with_both_numbers(trained, result):
    sizes = {variant.name: variant.size_bytes for variant in result.reports}
    limit = sizes["float32"] - 1
    gated = compressed(trained, variants=["dynamic"], max_size_bytes=limit, max_loss=0.05)
    reports = by_name(gated)
    assert reports["float32"].error == f"{sizes['float32']:,} bytes, at most {limit:,} are allowed"
    assert not reports["float32"].passed
    assert reports["dynamic"].passed
    assert gated.chosen == "dynamic"


def test_nothing_is_chosen_when_nothing_passes(trained):
    gated = compressed(trained, variants=["float32"], max_size_bytes=1000)
    assert gated.chosen is None
    assert list(gated.contents) == ["float32"]
    assert gated.reports[0].error == f"{gated.reports[0].size_bytes:,} bytes, at most 1,000 are allowed"


def test_variant_that_collapses_fails_the_gate_with_its_loss(trained):
    # Calibrated on zeros, every activation saturates.
    blind = {name: np.zeros_like(x[:5]) for name, x in trained.inputs.items()}
    gated = compressed(trained, representative=blind, variants=["int8"], max_loss=0.01)
    reports = by_name(gated)
    loss = reports["float32"].metrics["auc"] - reports["int8"].metrics["auc"]
    assert loss > 0.05
    assert reports["int8"].error == f"auc is worse than float32 by {loss:.5f}, at most 0.01 is allowed"
    assert not reports["int8"].passed
    assert gated.chosen == "float32"


def test_reference_whose_metric_is_no_number_fails(trained):
    one_class = [(features, np.ones_like(label)) for features, label in trained.batches()]
    config = CompressionConfig.model_validate({"gate": {"metric": "auc"}, "variants": ["float32"]})
    gated = report.compress(
        trained.model, "binary", ["auc"], config, {name: x[:1] for name, x in trained.inputs.items()}, lambda: one_class
    )
    assert gated.chosen is None
    assert gated.reports[0].error == "auc is worse than float32 by nan, at most 0.005 is allowed"


def test_operator_that_devices_lack_fails_every_variant_with_the_converter_reason(trained):
    inputs = {"miles_xf": keras.Input((1,), name="miles_xf")}
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Lambda(tf.math.digamma)(inputs["miles_xf"])))
    representative = {"miles_xf": trained.inputs["miles_xf"][:5]}
    gated = compressed(trained, model, representative)
    assert gated.chosen is None
    assert gated.contents == {}
    for variant in gated.reports:
        assert variant.error.startswith("ConverterError: ")
        assert "'tf.Digamma' op is neither a custom op nor a flex op" in variant.error
        assert (variant.passed, variant.size_bytes, variant.metrics) == (False, 0, {})


def test_technique_that_does_nothing_fails(trained):
    # TFLite leaves kernels of less than 1024 weights alone.
    inputs = {"hour_xf": keras.Input((2,), name="hour_xf")}
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs["hour_xf"]))
    gated = compressed(trained, model, {"hour_xf": trained.inputs["hour_xf"][:5]}, variants=["dynamic"])
    reports = by_name(gated)
    types = dict(reports["float32"].tensor_types)
    assert reports["float32"].passed
    assert reports["dynamic"].error == f"ValueError: 'dynamic' did nothing: the model holds {types}, none of ['INT8']."
    assert gated.chosen == "float32"


class FailsOnce(keras.layers.Layer):
    """Refuses to be traced the first time after `armed` is set."""

    armed = False

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.armed:
            self.armed = False
            raise ValueError("not this time")
        return x * 1.0


def test_without_a_reference_no_other_variant_passes(trained):
    inputs = {"hour_xf": keras.Input((2,), name="hour_xf")}
    layer = FailsOnce()
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(layer(inputs["hour_xf"])))
    layer.armed = True
    gated = compressed(trained, model, {"hour_xf": trained.inputs["hour_xf"][:5]}, variants=["float16"])
    reports = by_name(gated)
    assert reports["float32"].error.startswith("ValueError: ")
    assert "not this time" in reports["float32"].error
    assert reports["float16"].error == "The float32 reference failed, so no loss can be measured."
    assert gated.chosen is None


def test_sparsity_is_the_share_of_zeros_in_kernels_and_embeddings():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(5, kernel_initializer="ones", bias_initializer="zeros")(inputs))
    assert report.sparsity(model) == 0.0
    kernel, bias = model.get_weights()
    kernel[:3, 0] = 0.0
    model.set_weights([kernel, bias])
    assert report.sparsity(model) == pytest.approx(3 / 20)
