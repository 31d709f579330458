"""A training that begins with the latest blessed model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pipeline_runs import Finished, run_here
from small_pipeline import write_config

pytestmark = pytest.mark.e2e
WARM = "fit.warm_start=true"


def training(done: Finished) -> dict[str, Any]:
    assert done.code == 0, done.output
    return json.loads((done.folder("Trainer", "model") / "training.json").read_text())


def test_second_training_begins_where_the_blessed_model_is(tmp_path) -> None:
    config = write_config(tmp_path)
    root = tmp_path / "root"
    first = training(run_here(config, root, WARM))
    assert first["warm_start"] == {"from": None, "why": "no model was blessed yet"}
    with (tmp_path / "data.csv").open("a") as file:  # a payment that the first model has not seen
        file.writelines(f"{fare},3.1,coin,{int(fare > 14)}\n" for fare in range(60))
    second = training(run_here(config, root, WARM))
    taken = second["warm_start"]
    assert taken["from"].endswith("/Trainer/model/" + taken["from"].rpartition("/")[2])
    assert "payment_xf_embedding" in taken["whole"]
    assert (taken["partly"], taken["anew"]) == ({}, [])
    assert second["eval_loss"][0] < first["eval_loss"][0]
    wider = training(run_here(config, root, WARM, "model.hidden=[16, 8, 4]"))
    assert wider["warm_start"]["from"] is None
    assert "does not fit: it has the layers " in wider["warm_start"]["why"]
