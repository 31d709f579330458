"""What every registered task and every config in the repository must hold."""

from __future__ import annotations

from pathlib import Path

import pydantic
import pytest
import tf_keras as keras

from models.heads import Head
from pipeline.config import load_config
from pipeline.graph import build_pipeline
from pipeline.local.preflight import check_data
from pipeline.local.runtime import LocalRuntime
from pipeline.tasks import TASKS
from preprocessing.features import EncodedFeature

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
FEATURES = (EncodedFeature("amount_xf", "amount"), EncodedFeature("shop_xf", "shop", num_ids=7))
HEADS = [Head("binary", 2), Head("multiclass", 3), Head("regression")]


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_task_has_a_default_model_config_that_refuses_unknown_keys(task) -> None:
    assert isinstance(task.model_config(), pydantic.BaseModel)
    with pytest.raises(pydantic.ValidationError, match="Extra inputs are not permitted"):
        task.model_config(no_such_key=1)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_task_builds_a_model_for_every_kind_of_label(task, head: Head) -> None:
    model = task.build(task.model_config(), FEATURES, head)
    assert isinstance(model, keras.Model)
    assert set(model.input) == {"amount_xf", "shop_xf"}
    assert model.output_shape == (None, head.units)
    assert model.output.dtype == "float32"


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_task_model_is_functional_so_that_it_can_be_compressed(task) -> None:
    """TFMOT refuses subclassed models."""
    model = task.build(task.model_config(), FEATURES, HEADS[0])
    clone = keras.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_config_loads_fits_its_data_and_builds(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    check_data(config)
    stages = [component.id for component in build_pipeline(config, LocalRuntime(tmp_path)).components]
    for stage in ("ExampleGen", "ExampleValidator", "DataGate", "Transform", "Trainer", "Evaluator", "ModelGate", "Pusher"):
        assert stage in stages


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_graph_puts_every_stage_after_those_it_needs(path: Path, tmp_path: Path) -> None:
    stages = [component.id for component in build_pipeline(load_config(path), LocalRuntime(tmp_path)).components]
    order = [
        "ExampleGen",
        "StatisticsGen",
        "ExampleValidator",
        "DataGate",
        "Transform",
        "Trainer",
        "Evaluator",
        "ModelGate",
        "Pusher",
    ]
    assert [stage for stage in stages if stage in order] == order
